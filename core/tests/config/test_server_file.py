"""The server file: what it comes to, and what is wrong with it, in words that name file, server and key."""

from __future__ import annotations

import pytest

from mcp_gateway.plugin import ANONYMOUS, ConfigError, Options, UrlOptions

from ..support.fake_plugins import everything, plugin, provider, providers_of


class Loose(Options):
    """Options that read what they do not check."""

    url: str
    socket: str = ""
    cert: str = ""


@pytest.fixture
def one(read):
    """Read a file with one entry of our own form; return what it comes to."""

    def resolve(environ=None, **keys):
        found = read({"servers": [{"name": "alpha", "command": "x", **keys}]}, **(environ or {}))
        return found.specs[0]

    return resolve


@pytest.fixture
def problem(read):
    def of(*entries, foreign=False, **environ):
        servers = {"mcpServers": dict(entries)} if foreign else {"servers": list(entries)}
        found = read(servers, **environ)
        return "\n".join(f"server_config.json: server {off.name!r}: {off.reason}" for off in found.disabled)

    return of


def command(**keys):
    return {"name": "alpha", "command": "x", **keys}


def remote(**keys):
    return {"name": "alpha", "url": "http://x", **keys}


def test_an_entry_comes_to_a_settled_server(one):
    spec = one()
    assert (spec.name, spec.client_transport.name, spec.auth, spec.description) == ("alpha", "stdio", None, "")
    assert (spec.stateful, spec.auto_discover) == (False, True)
    assert spec.exposed == {"prompts", "resources", "templates"}
    assert spec.max_retries == 3


def test_a_file_may_have_no_servers(read):
    assert read({"servers": []}).specs == ()


def test_servers_keep_the_order_of_the_file(read):
    found = read({"servers": [command(name=name) for name in ("c", "a", "b")]})
    assert [spec.name for spec in found.specs] == ["c", "a", "b"]


def test_a_server_that_is_switched_off_is_left_out_whatever_else_it_says(read):
    off = [command(enabled=False), command(name="b", enabled=False, transport="${MISSING}", nonsense=1)]
    found = read({"servers": off})
    assert (found.specs, found.warnings) == ((), ())
    assert [(off.name, off.reason, off.on_purpose) for off in found.disabled] == [
        ("alpha", '"enabled" is false', True),
        ("b", '"enabled" is false', True),
    ]


def test_enabled_may_come_from_a_variable(read):
    assert read({"servers": [command(enabled="${ON}")]}, ON="false").specs == ()
    assert len(read({"servers": [command(enabled="${ON}")]}, ON="true").specs) == 1


def test_a_timeout_of_a_server_that_may_be_meant_in_milliseconds_is_a_warning(read):
    for key in ("timeout", "start_timeout", "list_timeout", "call_timeout"):
        found = read({"servers": [command(**{key: 30_000})]})
        said = [f"{key}: 30000 seconds are 8.3 hours; is it meant in milliseconds?"]
        assert [warning.partition(": ")[2].partition(": ")[2] for warning in found.warnings] == said


def test_an_entry_that_leads_nowhere_says_what_it_needs(problem):
    said = problem({"name": "alpha"}, {"name": "beta", "comand": "x"})
    needs = """it needs "command", the program to start (stdio), or "url", where it is (HTTP)"""
    assert [line.partition("server_config.json: ")[2] for line in said.splitlines()] == [
        f"server 'alpha': {needs}",
        f"server 'beta': {needs}; nobody reads the key 'comand'; did you mean 'command'?",
    ]


def test_an_entry_that_leads_to_two_places_is_refused(problem):
    assert """server 'alpha': it has both "command" and "url"; remove one of them""" in problem(command(url="http://x"))


def test_in_a_clients_form_an_entry_that_leads_nowhere_is_left_out(read):
    found = read({"mcpServers": {"alpha": {"comand": "x"}, "beta": {"command": "x"}}})
    assert [spec.name for spec in found.specs] == ["beta"]
    assert "nobody reads the key 'comand'; did you mean 'command'?" in found.disabled[0].reason


def test_in_a_clients_form_a_key_of_another_plugin_is_suggested(read):
    found = read({"mcpServers": {"alpha": {"type": "http", "url": "http://x", "comand": "x"}}})
    assert found.warnings[0].endswith("does not read the key 'comand'; did you mean 'command'?")


def test_a_description_is_one_line(one):
    assert one(description="of\n  two\tlines").description == "of two lines"


@pytest.mark.parametrize(
    "said, default, stateful",
    [(None, None, False), (None, "stateful", True), ("stateless", "stateful", False), ("stateful", None, True)],
)
def test_connection_mode_falls_back_to_the_environments(one, said, default, stateful):
    keys = {"connection_mode": said} if said else {}
    environ = {"MCP_GATEWAY_DEFAULT_CONNECTION_MODE": default} if default else {}
    assert one(environ, **keys).stateful is stateful


def test_retries_of_a_server_win_over_the_environments(one):
    environ = {"MCP_GATEWAY_MAX_RETRIES": "5"}
    assert one(environ).max_retries == 5
    assert one(environ, max_retries=0).max_retries == 0


def test_where_an_entry_leads_shows_in_its_fingerprint_and_how_it_is_called_does_not(one):
    same = one().fingerprint
    assert one(description="other", timeout=3).fingerprint == same
    assert len({same, one(command="y").fingerprint, one(args=["z"]).fingerprint}) == 3


# -- what is wrong


def test_a_key_that_nobody_reads_is_refused_with_a_suggestion(problem):
    assert "server 'alpha': nobody reads the key 'comand'; did you mean 'command'?" in problem(command(comand="y"))


def test_a_key_of_another_plugin_says_with_what_it_would_be_read(problem):
    assert """the key 'url' is read only with "transport": "http"; set that, or remove it""" in problem(
        command(url="http://x", transport="stdio")
    )
    assert """the key 'auth_headers' is read only with "auth_type": "static\"""" in problem(
        remote(auth_headers={"a": "b"})
    )


def test_a_key_that_begins_with_x_is_anyones(one):
    assert one(**{"x-note": "mine"}).name == "alpha"


def test_the_name_of_the_header_is_harmless_without_auth(one):
    assert one(auth_header_name="X-Key").auth is None


def test_in_a_clients_form_a_key_that_nobody_reads_is_a_warning(read):
    found = read(
        {"mcpServers": {"alpha": {"command": "x", "alwaysAllow": ["y"], "gallery": True, "galery": True, "agrs": []}}}
    )
    assert [warning.rpartition(": ")[2] for warning in found.warnings] == [
        "the gateway does not read the key 'galery'",
        "the gateway does not read the key 'agrs'; did you mean 'args'?",
    ]
    assert len(found.specs) == 1


@pytest.mark.parametrize("name", ["a__b", "__a", "a_", "_a", "", "a b", "a/b", "ä", "a\n"])
def test_a_name_that_would_make_full_names_ambiguous_is_refused(problem, name):
    assert "name: use letters, digits" in problem(command(name=name))


def test_an_entry_must_have_a_name(problem):
    said = problem({"command": "x"})
    assert "'entry-1': it is number 1 in \"servers\" and has no name" in said


def test_two_servers_of_one_name_are_refused(problem):
    assert "server 'alpha': another server has the same name" in problem(command(), command())


def test_a_namespace_is_the_servers_name_unless_it_says_otherwise(one):
    assert one().namespace == "alpha"
    assert one(namespace="work").namespace == "work"
    assert one(namespace=None).namespace is None


def test_two_servers_of_one_namespace_are_refused_and_both_named(problem):
    assert "server 'b': namespace: both have the namespace 'alpha', this server and 'alpha'" in problem(
        command(), command(name="b", namespace="alpha")
    )
    assert "server 'b': namespace: neither has a namespace, this server and 'alpha'" in problem(
        command(namespace=None), command(name="b", namespace=None)
    )
    assert "server 'alpha': namespace: use letters" in problem(command(namespace="a__b"))


def test_in_a_clients_form_what_is_wrong_disables_one_server_only(read):
    found = read({"mcpServers": {"my-server": {"command": "x"}, "old": {"type": "sse", "url": "http://h"}}})
    assert [spec.name for spec in found.specs] == ["my-server"]
    assert [(off.name, off.reason.partition(";")[0]) for off in found.disabled] == [
        ("old", "no client transport is called 'sse'")
    ]


def test_names_of_a_client_that_would_become_the_same_stay_apart_in_any_order_and_are_described(read):
    names = ["my server", "my-server", "my/server", "高德地图", "天气查询"]
    for order in (names, names[::-1]):
        found = read({"mcpServers": {name: {"command": "x"} for name in order}})
        assert {spec.name: spec.description for spec in found.specs} == {
            "my-server-4b6398": "my server",
            "my-server": "",
            "my-server-74d9ae": "my/server",
            "server-1ecb3b": "高德地图",
            "server-144cd5": "天气查询",
        }
        assert found.disabled == ()


def test_short_names_of_two_long_namespaces_stay_apart_at_a_low_limit(read):
    names = [f"my-company-internal-{number}" for number in range(3)]
    found = read({"servers": [command(name=name) for name in names]}, GATEWAY_NAME_LENGTH="24")
    assert [(spec.name, spec.max_name) for spec in found.specs] == [(name, 24) for name in names]
    assert found.warnings == ()
    (bare,) = read({"servers": [command(namespace=None)]}).specs
    assert bare.max_name is None


def test_every_problem_has_a_line_of_its_own(problem):
    said = problem(command(timeout=0), command(name="b", args=5), remote(name="c", url="ftp://x")).splitlines()
    assert [line.partition("server_config.json: ")[2] for line in said] == [
        "server 'alpha': timeout: it must be more than 0",
        "server 'b': args: it must be a list",
        "server 'c': url: it must begin with http:// or https://",
    ]


@pytest.mark.parametrize(
    "keys, said",
    [
        ({"timeout": "soon"}, "timeout: it must be a number"),
        ({"max_retries": -1}, "max_retries: it must be 0 or more"),
        ({"connection_mode": "sticky"}, "connection_mode: it must be one of 'stateless' or 'stateful'"),
        ({"expose_tools": "perhaps"}, "expose_tools: it must be true or false"),
        (
            {"transport": "pigeon"},
            "no client transport is called 'pigeon'; installed: http, memory, stdio; install a plugin that brings it",
        ),
        ({"transport": 3}, "transport: it must be text"),
        ({"auth_type": "statics"}, "no auth strategy is called 'statics'; installed: forward, static; did you mean"),
        ({"auth_type": "static"}, "auth_headers: it is missing"),
        ({"auth_type": "static", "auth_headers": {}}, "auth_headers: it must have 1 or more"),
    ],
)
def test_a_wrong_value_is_named_by_its_key(problem, keys, said):
    assert said in problem(command(**keys))


def test_a_variable_that_is_not_set_disables_its_server_and_no_other(read):
    found = read({"servers": [remote(url="http://${HOST_OF_ALPHA}"), command(name="b")]})
    assert [spec.name for spec in found.specs] == ["b"]
    assert [(off.name, off.reason) for off in found.disabled] == [
        ("alpha", "the environment variable HOST_OF_ALPHA is not set")
    ]
    assert "server 'alpha': not used: the environment variable HOST_OF_ALPHA is not set" in found.warnings[0]


def test_a_default_file_that_does_not_exist_is_a_warning_and_another_an_error(tmp_path):
    from mcp_gateway.config.server_file import read_servers
    from mcp_gateway.config.settings import read_environment

    from ..support.fake_plugins import everything, providers_of

    providers = providers_of(everything())
    found = read_servers(read_environment({}), {}, providers)
    assert found.specs == ()
    (warning,) = found.warnings
    assert warning.startswith("server_config.json: there is no such file, so there are no servers; to write it: ")
    environ = {"SERVER_CONFIG_PATH": str(tmp_path / "other.json")}
    with pytest.raises(ConfigError, match=r"other.json: there is no such file"):
        read_servers(read_environment(environ), environ, providers)


# -- GATEWAY_AUTH_MODE


def auth_of(read, mode, **keys):
    spec = read({"servers": [remote(**keys)]}, GATEWAY_AUTH_MODE=mode).specs[0]
    return (spec.auth.name if spec.auth else None, spec.auth_optional, spec.overridable)


SAVED = {"auth_type": "static", "auth_headers": {"X-Key": "k"}}
FORWARD = {"auth_type": "forward"}


@pytest.mark.parametrize(
    "mode, keys, comes_to",
    [
        ("auto", {}, (None, False, True)),
        ("auto", {"auth_type": "NONE"}, (None, False, True)),
        ("auto", SAVED, ("static", False, True)),
        ("auto", FORWARD, ("forward", False, True)),
        ("static", {}, (None, False, False)),
        ("static", SAVED, ("static", False, False)),
        ("static", FORWARD, (None, False, False)),
        ("static", {**FORWARD, "auth_headers": {"X-Key": "k"}}, ("static", False, False)),
        ("forward", {}, ("forward", True, True)),
        ("forward", SAVED, ("static", False, True)),
        ("forward", FORWARD, ("forward", False, True)),
        ("FORWARD", {}, ("forward", True, True)),
    ],
)
def test_the_mode_decides_whose_credentials_go_to_a_server(read, mode, keys, comes_to):
    assert auth_of(read, mode, **keys) == comes_to


def test_a_process_is_sent_nothing_in_any_mode(read):
    for mode in ("auto", "static", "forward"):
        assert read({"servers": [command()]}, GATEWAY_AUTH_MODE=mode).specs[0].auth is None


async def test_saved_headers_are_sent_as_they_are_written(read):
    spec = read({"servers": [remote(auth_type="static", auth_headers={"X-Key": "${KEY}"})]}, KEY="k3y").specs[0]
    async with spec.auth.open() as strategy:
        assert (await strategy.credentials(ANONYMOUS)).headers == {"X-Key": "k3y"}


@pytest.mark.parametrize(
    "keys",
    [
        {"auth_type": "Bearer S3CRET"},
        {"transport": "S3CRET with spaces"},
    ],
)
def test_what_is_no_name_at_all_may_be_a_secret_and_is_not_repeated(problem, keys):
    said = problem({**remote(), **keys})
    assert "server 'alpha': " in said
    assert "S3CRET" not in said


def test_the_connection_mode_is_read_in_any_case(one):
    assert one(connection_mode="Stateful").stateful


def test_a_number_of_seconds_has_an_end(read, problem):
    assert "timeout: it must be 1000000000 or less" in problem(command(timeout=10**10))
    found = read({"mcpServers": {"alpha": {"command": "x", "timeout": 10**400}}})
    assert found.warnings[0].endswith("its timeout is left out: it is too long")
    assert len(found.specs) == 1


async def test_paths_of_an_entry_begin_in_the_folder_of_its_file(read, tmp_path):
    of_urls = plugin(client_transports=[provider("web", lambda options: options, UrlOptions)])
    written = {"servers": [{"name": "a", "transport": "web", "url": "http://a", "socket": "a.sock"}]}
    (spec,) = read(written, providers_of(everything(), of_urls)).specs
    async with spec.client_transport.open() as options:
        assert options.socket == tmp_path / "a.sock"


def test_another_socket_is_another_server_and_another_certificate_other_credentials(read):
    of_urls = providers_of(everything(), plugin(client_transports=[provider("web", options=Loose)]))

    def hashes(**keys):
        (spec,) = read({"servers": [{"name": "a", "transport": "web", "url": "https://a", **keys}]}, of_urls).specs
        return spec.fingerprint, spec.saved

    plain, socket, certificate = hashes(), hashes(socket="a.sock"), hashes(cert="a.pem")
    assert socket[0] != plain[0] == certificate[0]
    assert plain[1] == "" != certificate[1]
