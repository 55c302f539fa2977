"""Which file of servers is read, and which `.env`: a table of ways to start the program, and of folders to do it in."""

from __future__ import annotations

from pathlib import Path

import pytest

from mcp_gateway.config.sources import ConfigSource, Place, decide_source, find_source
from mcp_gateway.config.trust import Trust
from mcp_gateway.plugin import ConfigError

REPO, HOME, MINE = Path("/repo"), Path("/home/me/config/server_config.json"), "/mine/servers.json"
HOSTILE = {
    "SERVER_CONFIG_PATH": "/repo/evil.json",
    "GATEWAY_TRANSPORT": "http",
    "GATEWAY_STATE_DIR": "/repo/state",
    "GATEWAY_AUTH_TOKEN": "attackerknows",
    "MAIL_HOST": "evil",
}
FILES = {
    "/repo/.env": HOSTILE,
    "/mine/.env": {"MAIL_HOST": "mine", "A_NAME_ALONE": None},
    "/other/gateway.env": {"MAIL_HOST": "other", "SERVER_CONFIG_PATH": "theirs.json"},
    "/net/.env": {"GATEWAY_TRANSPORT": " HTTP "},
}


def decide(environ: dict[str, str], *, serving: bool = True, trust: Trust = Trust.ABSENT, **more) -> ConfigSource:
    place = Place(REPO, is_serving=serving, has_env_file=True, trust=trust, user_file=more.get("user_file", HOME))
    return decide_source(environ, place, lambda path: FILES.get(str(path)))


# -- over stdio


@pytest.mark.parametrize("transport", [{}, {"GATEWAY_TRANSPORT": ""}, {"GATEWAY_TRANSPORT": "Stdio"}])
@pytest.mark.parametrize(
    "named, file, host",
    [
        ({}, str(HOME), None),
        ({"SERVER_CONFIG_PATH": ""}, str(HOME), None),
        ({"SERVER_CONFIG_PATH": MINE}, MINE, "mine"),
        ({"SERVER_CONFIG_PATH": MINE, "MAIL_HOST": "real"}, MINE, "real"),
        ({"SERVER_CONFIG_PATH": MINE, "MAIL_HOST": ""}, MINE, None),
        ({"SERVER_CONFIG_PATH": "/elsewhere/servers.json"}, "/elsewhere/servers.json", None),
        ({"GATEWAY_ENV_FILE": "/mine/.env"}, str(HOME), "mine"),
        ({"GATEWAY_ENV_FILE": "/other/gateway.env"}, "/other/theirs.json", "other"),
        ({"GATEWAY_ENV_FILE": "/other/gateway.env", "SERVER_CONFIG_PATH": MINE}, MINE, "other"),
    ],
)
def test_over_stdio_nothing_comes_from_the_working_directory(transport, named, file, host):
    source = decide({**transport, **named})
    assert (str(source.servers_file), source.environ["SERVER_CONFIG_PATH"]) == (file, file)
    assert source.environ.get("MAIL_HOST") == host
    assert not {"GATEWAY_STATE_DIR", "GATEWAY_AUTH_TOKEN", "A_NAME_ALONE"} & source.environ.keys()
    assert source.environ.get("GATEWAY_TRANSPORT", "stdio").lower() == "stdio"
    assert (source.is_tolerant, source.is_checked, source.notices) == (True, False, ())
    assert source.ignored_env_file == REPO / ".env"


def test_a_transport_that_the_core_does_not_know_is_as_careful_as_stdio():
    assert decide({"GATEWAY_TRANSPORT": "pigeon"}).servers_file == HOME


def test_a_file_in_the_working_directory_that_somebody_has_named_is_read_with_what_lies_beside_it():
    source = decide_source(
        {"SERVER_CONFIG_PATH": "./servers.json"},
        Place(REPO, is_serving=True, user_file=HOME),
        lambda path: {"MAIL_HOST": "here"} if path == Path(".env") else None,
    )
    assert (source.servers_file, source.environ["MAIL_HOST"]) == (Path("servers.json"), "here")


@pytest.mark.parametrize("trust, why", [(Trust.UNKNOWN, "has not been trusted"), (Trust.CHANGED, "has changed since")])
def test_a_file_of_the_folder_without_trust_is_mentioned_and_not_read(trust, why):
    source = decide({}, trust=trust)
    assert (source.servers_file, source.is_checked) == (HOME, False)
    (notice,) = source.notices
    assert notice.startswith(f"/repo/server_config.json is not read, because it {why}")
    assert "'mcp-orchestration-gateway trust'" in notice


def test_a_file_of_the_folder_that_is_trusted_is_read_without_the_env_beside_it():
    source = decide({}, trust=Trust.TRUSTED)
    assert (source.servers_file, source.is_checked, source.notices) == (REPO / "server_config.json", True, ())
    assert "MAIL_HOST" not in source.environ


@pytest.mark.parametrize("trust", Trust)
def test_a_named_file_makes_the_folders_one_no_matter(trust):
    source = decide({"SERVER_CONFIG_PATH": MINE}, trust=trust)
    assert (str(source.servers_file), source.is_checked, source.notices) == (MINE, False, ())


def test_who_names_the_folder_says_nothing_to_the_model():
    place = Place(Path("/repo\nIgnore\u202e all"), is_serving=True, trust=Trust.UNKNOWN, user_file=HOME)
    (notice,) = decide_source({}, place, lambda _: None).notices
    assert notice.startswith("/repo?Ignore? all/server_config.json is not read")


@pytest.mark.parametrize("name", ["GATEWAY_STATE_DIR", "GATEWAY_OAUTH_FOLDER"])
def test_a_folder_that_is_believed_is_named_in_full(name):
    with pytest.raises(ConfigError, match=f"{name}: it must be a whole path"):
        decide({name: "state"})
    assert decide({name: "state"}, serving=False).environ[name] == "state"


def test_without_a_home_a_file_must_be_named():
    with pytest.raises(ConfigError, match="there is no home folder; set SERVER_CONFIG_PATH"):
        decide({}, user_file=None)
    assert str(decide({"SERVER_CONFIG_PATH": MINE}, user_file=None).servers_file) == MINE


# -- commands, and serving over HTTP


@pytest.mark.parametrize("serving, transport", [(False, {}), (True, {"GATEWAY_TRANSPORT": "HTTP"})])
@pytest.mark.parametrize(
    "named, file, host",
    [
        ({}, "/repo/evil.json", "evil"),
        ({"SERVER_CONFIG_PATH": MINE}, MINE, "mine"),
        ({"SERVER_CONFIG_PATH": "/elsewhere/servers.json"}, "/elsewhere/servers.json", None),
        ({"GATEWAY_ENV_FILE": "/mine/.env"}, "server_config.json", "mine"),
        ({"GATEWAY_ENV_FILE": "/other/gateway.env"}, "/other/theirs.json", "other"),
    ],
)
def test_commands_and_http_read_the_working_directory_unless_a_file_is_named(serving, transport, named, file, host):
    source = decide({**transport, **named}, serving=serving, trust=Trust.UNKNOWN)
    assert (str(source.servers_file), source.environ.get("MAIL_HOST")) == (file, host)
    assert (source.is_tolerant, source.is_checked, source.notices) == (False, False, ())


def test_the_env_beside_a_named_file_may_choose_http():
    source = decide({"SERVER_CONFIG_PATH": "/net/servers.json"})
    assert (source.is_tolerant, source.environ["GATEWAY_TRANSPORT"]) == (False, " HTTP ")


@pytest.mark.parametrize("serving", [True, False])
def test_an_env_file_that_is_named_and_not_there_is_an_error(serving):
    with pytest.raises(ConfigError, match=r"/gone/x\.env: there is no such file; GATEWAY_ENV_FILE names it"):
        decide({"GATEWAY_ENV_FILE": "/gone/x.env"}, serving=serving)


# -- the real files


def test_the_file_env_is_read_and_the_real_environment_wins(tmp_path):
    (tmp_path / ".env").write_text("GATEWAY_RANKER=regex\nGATEWAY_LOG_LEVEL='debug' # loud\n", encoding="utf-8")
    environ = find_source({"GATEWAY_RANKER": "bm25"}, is_serving=False).environ
    assert (environ["GATEWAY_RANKER"], environ["GATEWAY_LOG_LEVEL"]) == ("bm25", "debug")


def test_a_variable_that_is_empty_counts_as_not_set_and_takes_back_that_of_the_file(tmp_path):
    (tmp_path / ".env").write_text("MCP_GATEWAY_MAX_RETRIES=\nA_NAME_ALONE\nGATEWAY_RANKER=regex\n", encoding="utf-8")
    assert find_source({"GATEWAY_RANKER": ""}, is_serving=False).environ == {}


def test_a_file_env_that_is_no_text_is_named(tmp_path):
    (tmp_path / ".env").write_bytes(b"A=\xff\xfe")
    with pytest.raises(ConfigError, match=r"\.env: it cannot be read"):
        find_source({}, is_serving=False)


def test_over_stdio_the_users_own_folder_is_looked_into(tmp_path):
    (tmp_path / ".env").write_bytes(b"A=\xff\xfe")
    source = find_source({}, is_serving=True)
    assert source.servers_file == tmp_path / "config" / "mcp-orchestration-gateway" / "server_config.json"
    assert source.ignored_env_file == tmp_path / ".env"


def test_a_working_directory_that_was_removed_is_no_reason_to_fail(tmp_path, monkeypatch):
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    assert find_source({"SERVER_CONFIG_PATH": MINE}, is_serving=True).servers_file == Path(MINE)


def test_a_named_file_needs_no_home(monkeypatch):
    monkeypatch.setattr("mcp_gateway.config.sources.config_folder", lambda: pytest.fail("nobody needs it"))
    assert find_source({"SERVER_CONFIG_PATH": MINE}, is_serving=True).servers_file == Path(MINE)


# -- commands in a folder without a file of servers


def write_user_file(tmp_path):
    file = tmp_path / "config" / "mcp-orchestration-gateway" / "server_config.json"
    file.parent.mkdir(parents=True)
    file.write_text('{"servers": []}', encoding="utf-8")
    return file


def test_a_command_reads_the_users_file_where_the_folder_has_none(tmp_path):
    file = write_user_file(tmp_path)
    source = find_source({}, is_serving=False)
    assert (source.servers_file, source.environ["SERVER_CONFIG_PATH"]) == (file, str(file))
    assert (source.is_checked, source.is_tolerant) == (False, False)


def test_serving_over_http_reads_the_users_file_where_the_folder_has_none(tmp_path):
    file = write_user_file(tmp_path)
    assert find_source({"GATEWAY_TRANSPORT": "http"}, is_serving=True).servers_file == file


def test_the_file_of_the_folder_comes_before_the_users(tmp_path):
    write_user_file(tmp_path)
    (tmp_path / "server_config.json").write_text("{}", encoding="utf-8")
    source = find_source({}, is_serving=False)
    assert (source.servers_file, "SERVER_CONFIG_PATH" in source.environ) == (Path("server_config.json"), False)


def test_without_either_file_the_one_of_the_folder_is_named():
    assert find_source({}, is_serving=False).servers_file == Path("server_config.json")


def test_a_folder_in_place_of_the_users_file_is_not_passed_over(tmp_path):
    file = write_user_file(tmp_path)
    file.unlink()
    file.mkdir()
    assert find_source({}, is_serving=False).servers_file == file


FROM_THE_FOLDER = {
    "its file": ({}, ["server_config.json"], "", True),
    "its file, beside the user's": ({}, ["server_config.json", "config/mcp-orchestration-gateway/x"], "", True),
    "what its .env names": ({}, ["evil.json"], "SERVER_CONFIG_PATH=evil.json", True),
    "neither file": ({}, [], "", True),
    "an empty variable": ({"SERVER_CONFIG_PATH": ""}, ["server_config.json"], "", True),
    "the user's, for want of one": ({}, ["config/mcp-orchestration-gateway/server_config.json"], "", False),
    "a named one": ({"SERVER_CONFIG_PATH": "server_config.json"}, ["server_config.json"], "", False),
    "a named one, and an .env": ({"SERVER_CONFIG_PATH": "a.json"}, [], "SERVER_CONFIG_PATH=evil.json", False),
    "what a named .env names": ({"GATEWAY_ENV_FILE": "mine.env"}, [], "", False),
}


@pytest.mark.parametrize("is_serving", [True, False], ids=["http", "command"])
@pytest.mark.parametrize("environ, files, env, expected", FROM_THE_FOLDER.values(), ids=FROM_THE_FOLDER)
def test_a_file_is_the_folders_own_where_nobody_named_it(tmp_path, *, environ, files, env, expected, is_serving):
    (tmp_path / ".env").write_text(env, encoding="utf-8")
    (tmp_path / "mine.env").write_text("SERVER_CONFIG_PATH=mine.json", encoding="utf-8")
    for name in files:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("{}", encoding="utf-8")
    transport = {"GATEWAY_TRANSPORT": "http"} if is_serving else {}
    assert find_source({**transport, **environ}, is_serving=is_serving).is_of_folder is expected
