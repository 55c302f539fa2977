"""`login` and `logout` on the command line."""

from argparse import Namespace
from contextlib import asynccontextmanager

import anyio
import pytest
from mcp_gateway_auth_oauth import mcp_gateway_commands
from mcp_gateway_auth_oauth.commands import run_login, run_logout

from mcp_gateway.plugin import AuthError, Bound, ConfigError, Credentials


class Context:
    """A context with one server; it keeps what is printed."""

    def __init__(self, strategy):
        self.strategy, self.shown, self.complained = strategy, [], []

    def find_auth(self, server):
        @asynccontextmanager
        async def open_it():
            yield self.strategy

        return None if self.strategy is None else Bound("oauth", open_it)

    def show(self, *lines, flush=False):
        self.shown += lines

    def show_json(self, value):
        self.shown.append(value)

    def complain(self, *lines):
        self.complained += lines


class Plain:
    async def credentials(self, caller):
        return Credentials()


class Interactive(Plain):
    def __init__(self, revoked=True):
        self.revoked = revoked

    async def login(self, show):
        show("http://127.0.0.1:1/login")

    async def logout(self):
        return self.revoked


ARGUMENTS = Namespace(server="crm", no_browser=True, json=False)
AS_JSON = Namespace(server="crm", no_browser=True, json=True)


def test_a_login_shows_its_link_and_its_end():
    context = Context(Interactive())
    assert run_login(context, ARGUMENTS) == 0
    assert "  http://127.0.0.1:1/login" in context.shown
    assert context.shown[-1] == "You are logged in to crm."


@pytest.mark.parametrize("run", [run_login, run_logout])
@pytest.mark.parametrize("strategy, message", [(None, "has no login"), (Plain(), '"auth_type": "oauth"')])
def test_a_server_without_logins_is_told_what_to_set(run, strategy, message):
    with pytest.raises(ConfigError, match="server 'crm'") as caught:
        run(Context(strategy), ARGUMENTS)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    "revoked, shown",
    [(True, "has revoked the tokens"), (False, "good until they expire"), (None, "Nobody is logged in to crm.")],
)
def test_a_logout_says_what_has_become_of_the_tokens(revoked, shown):
    context = Context(Interactive(revoked))
    assert run_logout(context, ARGUMENTS) == 0
    assert shown in context.shown[0]


def test_a_login_for_programs_is_one_object_and_its_link_is_beside_it():
    context = Context(Interactive())
    assert run_login(context, AS_JSON) == 0
    assert context.shown == [{"server": "crm", "logged_in": True}]
    assert "  http://127.0.0.1:1/login" in context.complained


@pytest.mark.parametrize("revoked, found", [(True, (True, True)), (False, (True, False)), (None, (False, False))])
def test_a_logout_for_programs_is_one_object(revoked, found):
    context = Context(Interactive(revoked))
    assert run_logout(context, AS_JSON) == 0
    logged_out, was_revoked = found
    assert context.shown == [{"server": "crm", "logged_out": logged_out, "revoked": was_revoked}]


class Endless(Interactive):
    async def login(self, show):
        await anyio.sleep_forever()


def test_a_login_that_nobody_begins_ends_with_an_error(monkeypatch):
    monkeypatch.setattr("mcp_gateway_auth_oauth.commands.PATIENCE_SECONDS", 0.05)
    with pytest.raises(AuthError, match="server 'crm': nobody logged in within"):
        run_login(Context(Endless()), AS_JSON)


class Failing(Interactive):
    async def login(self, show):
        raise AuthError("it has client credentials, so nobody has to log in")


def test_a_login_that_fails_is_one_error():
    with pytest.raises(AuthError, match="client credentials"):
        run_login(Context(Failing()), ARGUMENTS)


def test_both_verbs_are_offered_with_json():
    offered = [(command.name, command.has_json) for command in mcp_gateway_commands()]
    assert offered == [("login", True), ("logout", True)]
