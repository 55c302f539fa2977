"""Asks published servers directly and through the gateway, and compares the answers as JSON."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

from ..bench.environments import Unavailable
from ..e2e.support.gateways import GATEWAY, Launcher
from .conversation import LISTS, SECONDS, Conversation, open_conversation
from .server_programs import Json, PublishedServer
from .servers import PAGE, SERVERS

SAME = "the same"


@dataclass
class Comparison:
    """How much a server has in each list, what was called, and what differs through the gateway."""

    counts: list[int] = field(default_factory=list)
    called: str = ""
    differences: list[str] = field(default_factory=list)


def compare(server: PublishedServer) -> Comparison:
    """Ask a server for its lists, and call a tool, directly and through the gateway."""
    command = server.command()
    with TemporaryDirectory(ignore_cleanup_errors=True) as name, ExitStack() as stack:
        folder = Path(name)
        _prepare(folder)
        launcher = Launcher(folder, stack)
        entry = {"name": "s", "command": command[0], "args": command[1:], "namespace": None, "expose_tools": True}
        config = launcher.config({**entry, "cwd": name, "env": dict(server.variables)})
        variables = launcher.environment(config, HOME=name, GATEWAY_START_TIMEOUT=str(SECONDS))
        environment = {key: value for key, value in variables.items() if not key.startswith("XDG_")}
        direct = stack.enter_context(open_conversation(command, folder, {**environment, **dict(server.variables)}))
        through = stack.enter_context(open_conversation([GATEWAY], folder, environment))
        comparison = Comparison()
        for method in LISTS:
            items = direct.list_items(method)
            comparison.counts.append(len(items))
            others = through.wait_for_items(method, len(items))
            comparison.differences += find_differences(LISTS[method][:-1], items, others)
        if server.call is not None:
            _compare_call(comparison, server.call, direct, through)
        return comparison


def _prepare(folder: Path) -> None:
    """Make what the calls need: a file, and a repository with a commit."""
    (folder / "file.txt").write_text("content of a file\n", encoding="utf-8")
    git = ["git", "-c", "user.name=a", "-c", "user.email=a@example.com", "-C", "repository"]
    for command in (["git", "init", "-q", "repository"], [*git, "commit", "-q", "--allow-empty", "-m", "first"]):
        subprocess.run(command, cwd=folder, check=True)


def find_differences(kind: str, direct: Sequence[Json], through: Sequence[Json]) -> Iterator[str]:
    """Say what of a list is missing or differs."""
    found = {_name(item): item for item in through}
    for item in direct:
        other = found.get(_name(item))
        if other is None:
            yield f"{kind} {_name(item)}: missing"
        elif to_text(_with_properties(item)) != to_text(other):
            yield f"{kind} {_name(item)}: differs"


def _compare_call(comparison: Comparison, call: tuple[str, Json], direct: Conversation, through: Conversation) -> None:
    name, arguments = call
    result = direct.ask("tools/call", {"name": name, "arguments": arguments})
    is_error = "error" in result or result["result"].get("isError", False)
    comparison.called = f"{name}: an error" if is_error else name
    if to_text(result) != to_text(through.ask("tools/call", {"name": name, "arguments": arguments})):
        comparison.differences.append(f"result of {name}: differs")


def _name(item: Json) -> str:
    return str(item.get("uri") or item.get("uriTemplate") or item.get("name"))


def _with_properties(item: Json) -> Json:
    schema = item.get("inputSchema")
    if isinstance(schema, dict) and "properties" not in schema:
        return {**item, "inputSchema": {**schema, "properties": {}}}
    return item


def to_text(value: Json) -> str:
    """Return JSON whose keys are sorted."""
    return json.dumps(value, sort_keys=True)


def run(names: Sequence[str]) -> int:
    """Try servers by package, or all; return 1 if something differs."""
    chosen = [server for server in SERVERS if not names or server.package in names]
    wrong = 0
    for server in chosen:
        row = _try_one(server)
        wrong += row[-1] != SAME
        print(" ".join(row), flush=True)
        PAGE.write([row])
    print(f"{len(chosen)} servers, {wrong} not the same")
    return int(wrong > 0 or not chosen)


def _try_one(server: PublishedServer) -> list[str]:
    """Return a row of the table."""
    origin = "npm" if server.is_on_npm else "PyPI"
    try:
        found, version = compare(server), server.environment().version(server.package)
    except Unavailable as error:
        return [server.package, origin, "?", *["?"] * len(LISTS), "", f"not tried: {str(error)[:100]}"]
    verdict = "; ".join(found.differences) or SAME
    return [server.package, origin, version, *map(str, found.counts), found.called, verdict]
