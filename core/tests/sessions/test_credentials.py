"""Access: whose credentials a call carries, and when it carries none."""

from __future__ import annotations

from dataclasses import replace

import pytest
import structlog

from mcp_gateway.client.errors import CredentialsRejected
from mcp_gateway.plugin import ANONYMOUS, AuthError, Bound, Caller, Credentials, LoginRequired, ServerUnavailable
from mcp_gateway.sessions.credentials import CredentialResolver
from mcp_gateway.sessions.retry import RetryPolicy

from ..support.fake_plugins import Forward, Saved, Static
from ..support.fake_servers import Remote
from ..support.gateway import spec

ME = Caller(headers={"authorization": "Bearer me"}, client="c1")
OVERRIDE = Caller(headers={"authorization": "Bearer me"}, auth_header="Bearer once", client="c1")

SAVED = Static(Saved.model_validate({"auth_headers": {"X-Key": "k"}}))


def access(strategy=None, *, credentials=True):
    strategies = {"alpha": strategy} if strategy else {}
    return CredentialResolver(strategies, {"alpha": Remote(credentials=credentials)})


async def headers(found, caller, **changes):
    return (await found.session_key(spec(**changes), caller)).credentials.headers


async def test_without_a_strategy_nothing_is_sent_whatever_the_caller_brought():
    assert await headers(access(), ME) == {}


async def test_without_a_strategy_the_calls_own_header_is_sent():
    assert await headers(access(), OVERRIDE) == {"Authorization": "Bearer once"}


async def test_saved_headers_are_sent_for_every_caller():
    assert await headers(access(SAVED), ME) == await headers(access(SAVED), ANONYMOUS) == {"X-Key": "k"}


async def test_the_callers_header_is_forwarded_where_that_is_configured():
    assert await headers(access(Forward()), ME) == {"Authorization": "Bearer me"}
    assert await headers(access(Forward()), OVERRIDE) == {"Authorization": "Bearer once"}


async def test_a_caller_without_credentials_is_refused_and_the_server_is_named():
    with pytest.raises(AuthError, match="server 'alpha': it wants the caller's own Authorization header"):
        await headers(access(Forward()), ANONYMOUS)


async def test_a_caller_without_credentials_goes_without_where_they_are_optional():
    assert await headers(access(Forward()), ANONYMOUS, auth_optional=True) == {}
    assert await headers(access(Forward()), ME, auth_optional=True) == {"Authorization": "Bearer me"}


async def test_a_transport_without_headers_shares_one_session_among_all_callers():
    found = access(Forward(), credentials=False)
    assert (await found.session_key(spec(), ME)).credentials.pairs == ()
    with pytest.raises(AuthError, match="server 'alpha': its transport carries no headers; leave auth_header out"):
        await found.session_key(spec(), OVERRIDE)


async def test_where_nothing_is_forwarded_a_call_cannot_bring_its_own_header():
    with pytest.raises(AuthError, match="GATEWAY_AUTH_MODE=static forwards nothing"):
        await headers(access(SAVED), OVERRIDE, overridable=False)
    assert await headers(access(SAVED), ME, overridable=False) == {"X-Key": "k"}


async def test_a_client_has_a_session_of_its_own_only_where_the_server_is_stateful():
    found, shared, own = access(), spec(), spec(stateful=True)
    assert (await found.session_key(shared, ME)).client is None
    assert (await found.session_key(own, ME)).client == "c1"
    assert (await access(credentials=False).session_key(own, ME)).client == "c1"


class Failing:
    def __init__(self, error):
        self._error = error

    async def credentials(self, _):
        raise self._error


async def test_a_strategy_that_cannot_reach_its_authority_says_so_for_the_server():
    with pytest.raises(ServerUnavailable, match="server 'alpha': the token endpoint is away") as caught:
        await headers(access(Failing(ServerUnavailable("the token endpoint is away", permanent=True))), ME)
    assert caught.value.permanent


async def test_a_strategy_that_breaks_is_reported_without_its_message_which_the_log_has():
    with structlog.testing.capture_logs() as logs, pytest.raises(ServerUnavailable) as caught:
        await headers(access(Failing(RuntimeError("s3cr3t"))), ME)
    assert str(caught.value) == "server 'alpha': its auth plugin failed (RuntimeError); the gateway's log says why"
    assert [entry["event"] for entry in logs] == ["auth plugin failed"]


REFUSAL = CredentialsRejected("no", 401)


class Renewable:
    """Has other credentials each time that some were refused."""

    def __init__(self):
        self.number = 0

    async def credentials(self, _):
        return Credentials.of({"Authorization": f"Bearer {self.number}"})

    async def refresh(self, _):
        self.number += 1
        return True


async def test_credentials_that_were_refused_are_renewed_once_for_a_call_however_often_it_is_sent():
    found, used = access(Renewable()), []

    async def operation(session_key):
        used.append(session_key.credentials.headers["Authorization"])
        raise REFUSAL

    for _ in range(2):
        with pytest.raises(CredentialsRejected):
            await found.with_credentials(spec(), ME, operation)
    assert used == ["Bearer 0", "Bearer 1", "Bearer 1", "Bearer 2"]
    key, retry, refusal = await found.session_key(spec(), ME), RetryPolicy(spec(), repeatable=True), REFUSAL
    assert (await found.renew(key, ME, refusal, retry)).credentials.headers == {"Authorization": "Bearer 3"}
    with pytest.raises(CredentialsRejected):
        await found.renew(key, ME, refusal, retry)


class Challenged:
    """Reads challenges; a login replaces the credentials."""

    def __init__(self, outcome):
        self.outcome, self.heard, self.number = outcome, [], 0

    async def credentials(self, _):
        return Credentials.of({"Authorization": f"Bearer {self.number}"})

    async def answer_challenge(self, credentials, status, challenge):
        self.heard.append((credentials.headers["Authorization"], status, challenge))
        if isinstance(self.outcome, Exception):
            raise self.outcome
        self.number += self.outcome
        return self.outcome

    def is_login_pending(self):
        return bool(self.heard)


def challenged(status):
    return CredentialsRejected("no", status, 'Bearer scope="x"')


@pytest.mark.parametrize("status", [401, 403])
async def test_a_strategy_that_reads_challenges_gets_them_and_its_other_credentials_are_used(status):
    strategy, used = Challenged(True), []
    found = access(strategy)

    async def operation(session_key):
        used.append(session_key.credentials.headers["Authorization"])
        if len(used) == 1:
            raise challenged(status)
        return "done"

    assert not found.is_login_pending(spec())
    assert await found.with_credentials(spec(), ME, operation) == "done"
    assert strategy.heard == [("Bearer 0", status, 'Bearer scope="x"')]
    assert used == ["Bearer 0", "Bearer 1"]
    assert found.is_login_pending(spec())


@pytest.mark.parametrize("status", [401, 403])
@pytest.mark.parametrize(
    "outcome, raised",
    [
        (False, CredentialsRejected),
        (LoginRequired("https://login.example", "log in for more"), LoginRequired),
        (AuthError("it wants more than is allowed"), AuthError),
        (ServerUnavailable("away"), ServerUnavailable),
        (RuntimeError("s3cr3t"), ServerUnavailable),
    ],
)
async def test_what_a_strategy_says_of_a_challenge_names_the_server(status, outcome, raised):
    async def operation(_):
        raise challenged(status)

    with pytest.raises(raised) as caught:
        await access(Challenged(outcome)).with_credentials(spec(), ME, operation)
    assert type(caught.value) is raised
    assert "s3cr3t" not in str(caught.value)
    if outcome:
        assert str(caught.value).startswith("server 'alpha': ")


@pytest.mark.parametrize("strategy", [Renewable(), Challenged(True), None])
async def test_only_who_reads_challenges_is_asked_of_403_and_never_for_a_header_of_the_call(strategy):
    async def operation(_):
        raise challenged(403)

    for caller in (ME, OVERRIDE) if not isinstance(strategy, Challenged) else (OVERRIDE,):
        with pytest.raises(CredentialsRejected):
            await access(strategy).with_credentials(spec(), caller, operation)
    assert getattr(strategy, "number", 0) == 0


class Shared:
    """A strategy whose credentials are the same for all; it counts how often it is asked."""

    same_for_all = True

    def __init__(self):
        self.asked = 0

    async def credentials(self, caller):
        self.asked += 1
        return Credentials.of({"Authorization": caller.auth_header or "everybody's"})


async def test_a_strategy_that_is_the_same_for_all_is_not_asked_whether_it_is():
    strategy = Shared()
    found = CredentialResolver({"alpha": strategy}, {"alpha": Remote(credentials=True)})
    assert await found.private_credentials(spec(auth=Bound("shared", None)), ME) is None
    assert strategy.asked == 0
    own = await found.private_credentials(spec(auth=Bound("shared", None)), OVERRIDE)
    assert own.headers == {"Authorization": OVERRIDE.auth_header}


async def test_a_caller_over_a_pipe_has_nothing_of_his_own():
    assert await access().private_credentials(spec(), replace(ANONYMOUS, client="c1")) is None
