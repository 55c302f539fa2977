import stat
import subprocess
import sys
import time

import anyio
import platformdirs
import pytest
from cryptography.fernet import Fernet
from mcp.shared.auth import OAuthToken
from mcp_gateway_auth_oauth.ciphers import KEY_FILE, open_cipher
from mcp_gateway_auth_oauth.logins import Login
from mcp_gateway_auth_oauth.vault import TokenStore, default_folder

from mcp_gateway.plugin import ConfigError

URL = "https://crm.example/mcp"


def login(access="a", expires_in=3600, age=0):
    tokens = OAuthToken(access_token=access, expires_in=expires_in, refresh_token="r")
    return Login(tokens=tokens, expires=time.time() + expires_in - age)


def test_what_is_written_is_read_by_another_gateway_with_the_same_key(tmp_path):
    TokenStore.open("crm", URL, tmp_path, None).write(login("s3cr3t"))
    assert TokenStore.open("crm", URL, tmp_path, None).read().valid_access_token == "s3cr3t"
    kept = next(tmp_path.glob("*.login"))
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert b"s3cr3t" not in kept.read_bytes()


def test_servers_do_not_see_each_others_logins(tmp_path):
    TokenStore.open("crm", URL, tmp_path, None).write(login())
    assert TokenStore.open("crm", "https://other.example/mcp", tmp_path, None).read() == Login()
    assert TokenStore.open("other", URL, tmp_path, None).read() == Login()


def test_with_another_key_there_is_no_login(tmp_path):
    TokenStore.open("crm", URL, tmp_path, Fernet.generate_key().decode()).write(login())
    assert TokenStore.open("crm", URL, tmp_path, Fernet.generate_key().decode()).read() == Login()


@pytest.mark.parametrize("damage", [b"", b"x", b"\x00" * 500])
def test_a_damaged_file_is_no_login(tmp_path, damage):
    vault = TokenStore.open("crm", URL, tmp_path, None)
    vault.write(login())
    vault.path.write_bytes(damage)
    assert vault.read() == Login()


def test_a_token_that_is_about_to_expire_is_not_used(tmp_path):
    assert login(age=3500).valid_access_token == "a"
    assert login(age=3550).valid_access_token is None
    assert login(expires_in=10, age=4).valid_access_token == "a"
    assert login(expires_in=10, age=6).valid_access_token is None


def test_a_key_that_is_none_is_refused_without_showing_it(tmp_path):
    with pytest.raises(ConfigError, match=r"GATEWAY_OAUTH_KEY.*32 random bytes") as caught:
        open_cipher("s3cr3t", tmp_path)
    assert "s3cr3t" not in str(caught.value)


def written_without_room(folder, code):
    """Run Python in a process whose files may not grow; return what it prints."""
    start = "import resource, sys; resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))\n"
    names = "from pathlib import Path; from mcp_gateway_auth_oauth.vault import Login, TokenStore\n"
    command = [sys.executable, "-c", f"{start}{names}folder = Path(sys.argv[1])\n{code}", str(folder)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)


@pytest.mark.skipif(sys.platform == "win32", reason="by the means of POSIX")
def test_a_login_that_cannot_be_written_is_good_for_this_process_and_leaves_nothing(tmp_path):
    key = Fernet.generate_key().decode()
    TokenStore.open("crm", URL, tmp_path, key).write(login("old"))
    before = {path.name for path in tmp_path.iterdir()}
    code = f"""
import logging; logging.basicConfig(format="%(message)s: %(reason)s; %(hint)s")
vault = TokenStore.open("crm", {URL!r}, folder, {key!r})
print(vault.read().valid_access_token)
for access in ("new", "newer"):
    vault.write(Login.model_validate_json({login("new").model_dump_json()!r}.replace('"new"', f'"{{access}}"')))
    print(vault.read().valid_access_token)
"""
    done = written_without_room(tmp_path, code)
    assert done.stdout.split() == ["old", "new", "newer"]
    assert (
        ".login cannot be written: a file may not grow so large here (File too large); it is lost when" in done.stderr
    )
    assert {path.name for path in tmp_path.iterdir()} == before
    assert TokenStore.open("crm", URL, tmp_path, key).read().valid_access_token == "old"


@pytest.mark.skipif(sys.platform == "win32", reason="by the means of POSIX")
def test_a_key_that_cannot_be_written_is_an_error_that_names_it_and_leaves_nothing(tmp_path):
    code = f"""
from mcp_gateway.plugin import ConfigError
try:
    TokenStore.open("crm", {URL!r}, folder, None)
except ConfigError as error:
    print(error)
"""
    said = written_without_room(tmp_path, code).stdout
    assert f"the key for OAuth tokens cannot be kept: {tmp_path}/{KEY_FILE} cannot be written" in said
    assert [path.name for path in tmp_path.iterdir()] == [f"{KEY_FILE}.lock"]


def test_a_folder_that_cannot_be_made_is_an_error_that_names_it(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match=r"file/oauth: OAuth tokens cannot be kept there"):
        TokenStore.open("crm", URL, tmp_path / "file" / "oauth", None)


async def test_only_one_writes_at_a_time(tmp_path):
    vaults = [TokenStore.open("crm", URL, tmp_path, None) for _ in range(3)]
    inside = most = 0

    async def write(vault):
        nonlocal inside, most
        async with vault.write_lock():
            inside += 1
            most = max(most, inside)
            await anyio.sleep(0.01)
            inside -= 1

    async with anyio.create_task_group() as tasks:
        for vault in vaults * 3:
            tasks.start_soon(write, vault)
    assert most == 1


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have other folders")
def test_logins_are_kept_among_the_states_of_the_users_programs(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XDG_STATE_HOME", raising=False)
    assert default_folder() == tmp_path / ".local/state/mcp-orchestration-gateway/oauth"
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "states"))
    assert default_folder() == tmp_path / "states/mcp-orchestration-gateway/oauth"


def test_without_a_home_it_says_what_to_set(monkeypatch):
    def find(*_args, **_options):
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(platformdirs, "user_state_path", find)
    with pytest.raises(ConfigError, match="GATEWAY_OAUTH_FOLDER: there is no home folder"):
        default_folder()
