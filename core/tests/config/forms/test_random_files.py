"""Files of random entries under the keys of all programs: what is wrong disables servers, and nothing breaks."""

from __future__ import annotations

import json
from random import Random

import pytest

from mcp_gateway.config.forms.keys import ALLOW_KEYS, COMMON_TIMEOUTS, DENY_KEYS, RENAMES, UNKEPT
from mcp_gateway.config.forms.programs import PROGRAMS
from mcp_gateway.plugin import ConfigError

NAMES = sorted(
    {*RENAMES, *RENAMES.values(), *ALLOW_KEYS, *DENY_KEYS, *COMMON_TIMEOUTS, *UNKEPT}
    | {"type", "transport", "headers", "requestInit", "auth", "oauth", "enabled", "disabled", "timeout", "tools", "env"}
    | {"config", "env_keys", "env_vars", "env_http_headers", "name", "namespace", "auth_headers", "//", "include"}
)
PLACES = [place for program in PROGRAMS for place in program.places]
AROUND = ["servers", "inputs", "projects", "permissions", "agent", "tools", "mcp", "permission", "disabledMcpServers"]
ATOMS = [None, True, False, 0, 1, -5, 3.5, 10**30, "", "x", "npx -y a", "~/a", "./b", "${A}", "${input:q}", "$A", "*"]
ATOMS += ["http://h/", "unix:///a#b", "stdio", "sse", "local", "a(b)", "[", "mcp__a__b", "true", "\ud800", "\n", "a: b"]
FILES = ["x.json", "opencode.json", ".gemini/settings.json", ".mcp.json", "mcp-config.json", "librechat.json"]


def make_value(random, depth=0):
    kind = random.random()
    if depth > 3 or kind < 0.5:
        return random.choice(ATOMS)
    if kind < 0.7:
        return [make_value(random, depth + 1) for _ in range(random.randrange(4))]
    keys = [random.choice([*NAMES, *AROUND, "a", "deny", "id"]) for _ in range(random.randrange(5))]
    return {key: make_value(random, depth + 1) for key in keys}


def make_entry(random):
    entry = {random.choice(NAMES): make_value(random, 1) for _ in range(random.randrange(8))}
    command = {"command": random.choice(["npx", ["a", "b"], {"path": "x"}, 5])}
    return entry | (command if random.random() < 0.6 else {})


def make_document(random):
    document = {random.choice(AROUND): make_value(random) for _ in range(random.randrange(4))}
    place = random.choice(PLACES)
    servers = {random.choice("abcd"): make_entry(random) for _ in range(random.randrange(4))}
    for key in reversed(place[1:]):
        servers = {key: servers}
    project = {"/": {"mcpServers": {"p": make_entry(random)}, "disabledMcpServers": make_value(random)}}
    more = {"projects": project} if random.random() < 0.2 else {}
    return {**document, place[0]: servers, **more}


@pytest.mark.parametrize("seed", range(8))
def test_whatever_stands_in_a_file_it_is_read_or_refused(tmp_path, seed):
    from mcp_gateway.config.server_file import read_servers
    from mcp_gateway.config.settings import read_environment

    from ...support.fake_plugins import everything, providers_of

    random, providers, read, refusals = Random(seed), providers_of(everything()), 0, []
    for _ in range(150):
        path = tmp_path / random.choice(FILES)
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps(make_document(random)), encoding="utf-8")
        environ = {"SERVER_CONFIG_PATH": str(path), "A": "v"}
        try:
            found = read_servers(read_environment(environ), environ, providers)
        except ConfigError as error:
            refusals.append((str(error), str(path)))
        else:
            read += bool(found.specs or found.disabled)
    assert read > 50
    assert [error for error, path in refusals if not error.startswith(path)] == []
