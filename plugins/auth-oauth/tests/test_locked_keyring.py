"""A server whose key is in a keyring that does not open yet: it waits alone, and within bounds."""

import subprocess
import sys
from argparse import Namespace

import anyio
import pytest

keyring = pytest.importorskip("keyring")

from mcp.shared.auth import OAuthToken  # noqa: E402
from mcp_gateway_auth_oauth import deferred_strategy, mcp_gateway_auth_strategies  # noqa: E402
from mcp_gateway_auth_oauth.commands import run_login, run_logout  # noqa: E402
from mcp_gateway_auth_oauth.deferred_strategy import open_strategy  # noqa: E402
from mcp_gateway_auth_oauth.logins import Login  # noqa: E402
from mcp_gateway_auth_oauth.options import OAuthOptions  # noqa: E402
from mcp_gateway_auth_oauth.vault import TokenStore  # noqa: E402

from mcp_gateway.plugin import ANONYMOUS, Caller, ConfigError, ServerUnavailable  # noqa: E402

from .sample_keyrings import KEY, LOCKED, MemoryKeyring  # noqa: E402

URL = "https://crm.example/mcp"


@pytest.fixture
def ring(tmp_path):
    """Put a keyring with the key of a stored login in the place of the person's own."""
    before = keyring.get_keyring()
    keyring.set_keyring(made := MemoryKeyring(KEY))
    store = TokenStore.open("crm", URL, tmp_path, None)
    store.write(Login(tokens=OAuthToken(access_token="good", refresh_token="r")))
    made.asked = 0
    yield made
    made.silence.set()
    keyring.set_keyring(before)


@pytest.fixture
def source(tmp_path):
    return {"name": "crm", "url": URL, "GATEWAY_OAUTH_FOLDER": str(tmp_path)}


@pytest.fixture
def options(source):
    return OAuthOptions.model_validate(source)


def read_all(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


async def token(strategy):
    return (await strategy.credentials(ANONYMOUS)).headers["Authorization"]


async def fails(strategy, sentence):
    with pytest.raises(ServerUnavailable, match=sentence) as caught:
        await token(strategy)
    assert caught.value.permanent


async def test_a_locked_keyring_is_asked_again_at_each_use(ring, options, tmp_path):
    before, ring.failure = read_all(tmp_path), LOCKED
    async with open_strategy(options) as strategy:
        for _ in range(2):
            await fails(strategy, "keyring is locked: unlock it, or set GATEWAY_OAUTH_KEY")
        assert strategy.is_login_pending() is False
        assert (ring.asked, read_all(tmp_path)) == (2, before)
        ring.failure = None
        assert await token(strategy) == "Bearer good"
        ring.failure = LOCKED
        assert await token(strategy) == "Bearer good"


async def test_the_header_of_a_call_needs_no_key(ring, options):
    ring.failure = LOCKED
    async with open_strategy(options) as strategy:
        found = await strategy.credentials(Caller(auth_header="Bearer own"))
    assert (found.headers["Authorization"], ring.asked) == ("Bearer own", 0)


async def test_requests_share_one_question_to_a_silent_keyring(ring, options, monkeypatch):
    monkeypatch.setattr(deferred_strategy, "SERVING_SECONDS", 0.5)
    ring.silence.clear()
    async with open_strategy(options) as strategy:
        async with anyio.create_task_group() as tasks:
            for _ in range(5):
                tasks.start_soon(fails, strategy, "has not answered within 0.5 s: unlock it, or set GATEWAY_OAUTH_KEY")
        assert ring.asked == 1
        ring.silence.set()
        monkeypatch.setattr(deferred_strategy, "SERVING_SECONDS", 30)
        assert await token(strategy) == "Bearer good"


async def test_a_keyring_is_asked_again_that_never_answers_the_first_time(ring, options, monkeypatch):
    monkeypatch.setattr(deferred_strategy, "SERVING_SECONDS", 0.1)
    first = ring.silence
    first.clear()
    async with open_strategy(options) as strategy:
        await fails(strategy, "has not answered")
        ring.silence = type(first)()
        ring.silence.set()
        with anyio.fail_after(30):
            while True:
                try:
                    assert await token(strategy) == "Bearer good"
                    break
                except ServerUnavailable:
                    pass
        assert not first.is_set()
    first.set()


async def test_the_first_login_of_a_server_waits_for_the_key_as_well(ring, options, world, tmp_path):
    ring.failure = LOCKED
    async with open_strategy(world.options(tmp_path)) as strategy:
        with pytest.raises(ServerUnavailable, match="keyring is locked"):
            await strategy.login(lambda _: None)
        with pytest.raises(ServerUnavailable, match="keyring is locked"):
            await strategy.answer_challenge(await strategy.credentials(Caller(auth_header="x")), 401, "Bearer")
    assert world.seen == []


@pytest.mark.parametrize("run", [run_login, run_logout])
def test_a_command_ends_with_the_sentence_alone(ring, source, run):
    class Context:
        def find_auth(self, _):
            (provider,) = mcp_gateway_auth_strategies()
            return provider.bind(source)

    ring.failure = LOCKED
    with pytest.raises(ServerUnavailable, match=r"^the system keyring is locked: unlock it"):
        run(Context(), Namespace(server="crm", no_browser=True, json=False))


async def test_a_key_in_the_environment_that_is_none_ends_the_start(source):
    with pytest.raises(ConfigError, match=r"GATEWAY_OAUTH_KEY: it must be 32 random bytes"):
        async with open_strategy(OAuthOptions.model_validate({**source, "GATEWAY_OAUTH_KEY": "s3cr3t"})):
            pass


async def test_a_folder_that_cannot_be_made_is_only_this_servers_fault(source, tmp_path):
    (tmp_path / "file").write_text("")
    options = OAuthOptions.model_validate({**source, "GATEWAY_OAUTH_FOLDER": str(tmp_path / "file" / "oauth")})
    async with open_strategy(options) as strategy:
        await fails(strategy, "OAuth tokens cannot be kept there")


CODE = """
import sys, threading

import anyio, keyring
from keyring.backend import KeyringBackend
from mcp_gateway.plugin import ANONYMOUS, ServerUnavailable
from mcp_gateway_auth_oauth import deferred_strategy, mcp_gateway_auth_strategies


class SilentKeyring(KeyringBackend):
    priority = 1

    def get_password(self, service, username):
        threading.Event().wait()

    set_password = delete_password = get_password


async def use_strategy():
    (provider,) = mcp_gateway_auth_strategies()
    source = {"name": "crm", "url": "https://crm.example/mcp", "GATEWAY_OAUTH_FOLDER": sys.argv[1]}
    async with provider.bind(source).open() as strategy:
        try:
            await strategy.credentials(ANONYMOUS)
        except ServerUnavailable as error:
            print(str(error).partition(" to the key")[0])


keyring.set_keyring(SilentKeyring())
deferred_strategy.SERVING_SECONDS = 0.1
anyio.run(use_strategy)
"""


def test_a_silent_keyring_does_not_keep_the_process_from_ending(tmp_path):
    command = [sys.executable, "-c", CODE, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    sentence = "the system keyring has not answered within 0.1 s: unlock it, or set GATEWAY_OAUTH_KEY\n"
    assert (done.stdout, done.returncode) == (sentence, 0), done.stderr
