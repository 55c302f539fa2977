"""What is under core/deploy, and the release workflow, are as systemd, the registry and the forge take them."""

from __future__ import annotations

import itertools
import json
import re
import shlex
import shutil
import signal
import subprocess
import sys
from importlib import resources
from pathlib import Path

import jsonschema
import pytest

from .support.environments import CALLED, ROOT, Home, version
from .support.packages import NAMES

DEPLOY = ROOT / "core" / "deploy"
UNIT = (DEPLOY / "mcp-gateway.service").read_text(encoding="utf-8")
RELEASE = ROOT / ".github" / "workflows" / "release.yml"
PROGRAM = "/opt/mcp-gateway/bin/mcp-orchestration-gateway"
SETTINGS = (ROOT / "core" / "docs" / "settings.md").read_text(encoding="utf-8")
MAX_EXPOSURE = 20
"""Of 100, as `systemd-analyze security` counts; what has no bounds at all has 96."""

needs_systemd = pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="systemd-analyze is not installed")


def value_of(key: str) -> list[str]:
    """Return the values of a key of the unit."""
    return re.findall(rf"^{key}=(.*)$", UNIT, re.MULTILINE)


# -- systemd


@needs_systemd
def test_systemd_takes_the_unit_without_a_word(tmp_path: Path) -> None:
    unit = tmp_path / "mcp-gateway.service"
    unit.write_text(UNIT.replace(PROGRAM, sys.executable), encoding="utf-8")
    done = subprocess.run(["systemd-analyze", "verify", unit], capture_output=True, text=True, check=False, timeout=60)
    assert [line for line in done.stderr.splitlines() if "mcp-gateway" in line] == []
    assert done.returncode == 0
    command = ["systemd-analyze", "security", "--offline=true", f"--threshold={MAX_EXPOSURE}", str(unit)]
    assert subprocess.run(command, capture_output=True, check=False, timeout=60).returncode == 0


def test_the_unit_serves_and_ends_gracefully(home: Home, gateway: str) -> None:
    (command,) = value_of("ExecStart")
    places = {"%S": home.folder / "state", "%t": home.folder / "run", "/etc": home.folder / "etc"}
    for place in places.values():
        (place / "mcp-gateway").mkdir(parents=True)
    (places["/etc"] / "mcp-gateway" / "servers.json").write_text(json.dumps({"mcpServers": {"plain": CALLED}}))
    text = " ".join(value_of("Environment"))
    for specifier, place in places.items():
        text = text.replace(f"{specifier}/mcp-gateway", str(place / "mcp-gateway"))
    environment = dict(word.split("=", 1) for word in shlex.split(text))
    assert [
        name for name in environment if name not in {"HOME", "XDG_RUNTIME_DIR"} and f"`{name}`" not in SETTINGS
    ] == []
    serving = subprocess.Popen(
        shlex.split(command.replace(PROGRAM, gateway)),
        cwd=places["%S"] / "mcp-gateway",
        env={"PATH": home.path, **environment, "GATEWAY_PORT": "0", "GATEWAY_LOG_FORMAT": "json"},
        stderr=subprocess.PIPE,
        text=True,
    )
    assert serving.stderr is not None
    try:
        events = (json.loads(line) for line in serving.stderr)
        (ready,) = itertools.islice((event for event in events if event["event"] == "ready"), 1)
        assert re.fullmatch(r"http://127\.0\.0\.1:\d+/mcp", ready["where"])
    finally:
        serving.send_signal(signal.SIGTERM)
        serving.communicate(timeout=60)
    assert serving.returncode == 0


def test_slow_the_commands_of_the_page_put_everything_where_the_unit_looks(home: Home, repository: Path) -> None:
    page = (ROOT / "core" / "docs" / "install.md").read_text(encoding="utf-8")
    block = page.partition("## As a service of systemd\n")[2].partition("```console\n")[2].partition("```")[0]
    *lines, last = (line.removeprefix("$ ") for line in block.splitlines())
    assert last.startswith("sudo systemctl daemon-reload && ")
    home.run(f"git clone -q {repository} clone")
    for line in lines:
        here = line.replace("sudo ", "").replace("/usr/bin/python3", "python3")
        home.run(re.sub(r"(?<!\S)/(?=opt/|etc/)", f"{home.folder}/", here), home.folder / "clone")
    assert home.run(f"{home.folder}{PROGRAM} --version") == f"mcp-orchestration-gateway {version()}\n"
    assert (home.folder / "etc" / "systemd" / "system" / "mcp-gateway.service").read_text(encoding="utf-8") == UNIT
    (file,) = re.findall(r"SERVER_CONFIG_PATH=(\S+)", UNIT)
    assert "all is well: 2 servers" in home.run(f"{home.folder}{PROGRAM} --config {home.folder}{file} check")


def test_the_unit_lets_the_gateway_write_where_it_must() -> None:
    folders = {key: value_of(f"{key}Directory") for key in ("State", "Runtime", "Configuration")}
    assert folders == {key: ["mcp-gateway"] for key in folders}
    assert (value_of("DynamicUser"), value_of("ProtectSystem")) == (["yes"], ["strict"])


def test_the_unit_lets_servers_ask_for_the_addresses_of_this_machine() -> None:
    (families,) = value_of("RestrictAddressFamilies")
    assert set(families.split()) == {"AF_INET", "AF_INET6", "AF_NETLINK", "AF_UNIX"}


# -- the container's recipe, as it is written; test_container.py carries it out


def instructions() -> list[tuple[str, str]]:
    """Return the instructions of the Containerfile, each in a line."""
    text = re.sub(r"^#.*\n", "", (DEPLOY / "Containerfile").read_text(encoding="utf-8"), flags=re.MULTILINE)
    lines = text.replace("\\\n", " ").splitlines()
    return [(word, rest.strip()) for word, _, rest in (line.partition(" ") for line in lines if line)]


def test_the_last_stage_needs_no_shell_and_is_not_root() -> None:
    every = instructions()
    last = dict(every[max(number for number, (word, _) in enumerate(every) if word == "FROM") :])
    assert "RUN" not in last
    assert all(int(part) > 0 for part in last["USER"].split(":"))
    for word in ("ENTRYPOINT", "CMD"):
        assert json.loads(last[word])
    assert json.loads(last["HEALTHCHECK"].partition("CMD ")[2])


def test_what_the_recipe_copies_is_there() -> None:
    copied = [rest.split()[:-1] for word, rest in instructions() if word == "COPY" and "--from" not in rest]
    assert copied
    assert [path for paths in copied for path in paths if not (ROOT / path).exists()] == []


# -- the registry


def test_the_registry_would_take_server_json() -> None:
    server = json.loads((DEPLOY / "server.json").read_text(encoding="utf-8"))
    schemas = resources.files("skillsaw") / "schemas" / "mcp_registry" / "v2025_12_11" / "server.schema.json"
    schema = json.loads(schemas.read_text(encoding="utf-8"))
    assert server["$schema"] == schema["$id"]
    jsonschema.Draft7Validator(schema, format_checker=jsonschema.FormatChecker()).validate(server)


def test_server_json_says_what_the_packages_say() -> None:
    server = json.loads((DEPLOY / "server.json").read_text(encoding="utf-8"))
    (package,) = server["packages"]
    assert (server["version"], package["version"]) == (version(), version())
    assert package["identifier"] in NAMES
    assert [entry["name"] for entry in package["environmentVariables"] if f"`{entry['name']}`" not in SETTINGS] == []
    # The registry looks for this line in the page of the package, to know that both have one owner.
    assert f"<!-- mcp-name: {server['name']} -->" in (ROOT / "README.md").read_text(encoding="utf-8")


# -- the release


def test_the_forge_takes_the_release_workflow(home: Home) -> None:
    python = shlex.quote(sys.executable)
    home.run(f"{python} -m check_jsonschema --builtin-schema vendor.github-workflows {RELEASE}")
    home.run(f"{shlex.quote(str(Path(sys.executable).with_name('zizmor')))} --offline --no-progress {RELEASE}")


def test_every_action_is_pinned_by_the_hash_of_a_commit() -> None:
    used = re.findall(r"uses: (\S+)(.*)", RELEASE.read_text(encoding="utf-8"))
    assert used
    assert all(re.fullmatch(r"[\w.-]+/[\w.-]+@[0-9a-f]{40}", action) for action, _ in used)
    assert all(re.fullmatch(r" # v\d+\.\d+\.\d+", tag) for _, tag in used)


def test_the_release_compares_the_tag_with_every_package(home: Home) -> None:
    (command,) = re.findall(r"run: (grep -L .*)", RELEASE.read_text(encoding="utf-8"))
    home.variables["GITHUB_REF_NAME"] = f"v{version()}"
    home.run(command, ROOT)
    home.variables["GITHUB_REF_NAME"] = "v0.0.1"
    assert home.run(f"! {{ {command}; }}", ROOT).splitlines()


def test_the_release_tries_the_wheels_by_commands_that_work(home: Home, dist: Path) -> None:
    text = RELEASE.read_text(encoding="utf-8")
    (install,) = re.findall(r"run: python -m pip install (dist/\*\.whl)", text)
    (tried,) = re.findall(r"name: Run it\n +run: \|\n((?: {10}.*\n)+)", text)
    home.run(f"uv venv -q && uv pip install -q {install}", dist.parent)
    assert "all is well: 1 server" in home.run(f"set -e; PATH=$PWD/.venv/bin:$PATH\n{tried}", dist.parent)
