"""Findings on other gateways that run."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

import anyio.to_thread

from mcp_gateway.config.sources import SERVERS
from mcp_gateway.config.trust import FILE_NAME
from mcp_gateway.control.context import ControlContext
from mcp_gateway.control.gateways.lookup import Gateways, describe_gateways
from mcp_gateway_cli.command_line import read_command_line
from mcp_gateway_cli.doctor.finding import Finding, warn

_PROGRAMS = ("mcp-orchestration-gateway", "mcp-gateway")
_MODULES = ("mcp_gateway", "mcp_gateway.main", "mcp_gateway_cli.main")


async def find_gateway_faults(context: ControlContext) -> list[Finding]:
    """Return warnings about the gateways of this user that run."""
    gateways = await describe_gateways()
    return [*await _find_gateways_on_same_file(context, gateways), *_describe_unusable(gateways)]


async def _find_gateways_on_same_file(context: ControlContext, gateways: Gateways) -> list[Finding]:
    """Return a warning if several gateways serve this file of servers.

    They are found by their local sockets, and by /proc, which tells of those without one.
    """
    file = context.environment.server_config.absolute()
    processes = await anyio.to_thread.run_sync(lambda: list(_list_gateways()), abandon_on_cancel=True)
    asked = list_served_files(gateways)
    pids = sorted({pid for pid, found in (*processes, *asked) if found is not None and found == file})
    if len(pids) < 2:  # noqa: PLR2004  # one gateway is what a person wants
        return []
    listed = ", ".join(map(str, pids))
    return [
        warn(
            "several-gateways",
            str(file),
            f"{len(pids)} gateways serve this file, and each starts every server: processes {listed}",
            "let the programs share one: serve --transport http, and its URL in their configurations",
        )
    ]


def _describe_unusable(gateways: Gateways) -> list[Finding]:
    """Return a warning for each gateway that runs and cannot be asked."""
    return [
        warn(
            "gateway-unusable",
            f"process {endpoint.pid}",
            str(error),
            f"end process {endpoint.pid}, if it is a gateway; the program that started it starts another one",
        )
        for endpoint, error in gateways.unusable.items()
    ]


def list_served_files(gateways: Gateways) -> list[tuple[int, Path]]:
    """Return process and file of the gateways that answer."""
    return [(endpoint.pid, Path(str(status.get("config", "")))) for endpoint, status in gateways.answers.items()]


def _list_gateways() -> Iterator[tuple[int, Path | None]]:
    for folder in sorted(Path("/proc").glob("[0-9]*"), key=lambda path: int(path.name)):
        pid = int(folder.name)
        command = read_command(pid)
        if pid != os.getpid() and is_gateway(command):
            yield pid, _find_file(folder, command)


def read_command(pid: int) -> list[str]:
    """Return the command line of a process, empty if it is hidden."""
    with suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace").rstrip("\0").split("\0")
    return []


def is_gateway(command: Sequence[str]) -> bool:
    """Whether a command line is that of a gateway that serves."""
    words = _find_words(command)
    return words is not None and _find_verb(words) in ("", "serve")


def _find_words(command: Sequence[str]) -> Sequence[str] | None:
    """Return what follows the gateway's program; None if it is another."""
    for place, word in enumerate(command[:3]):
        after_module = place > 0 and command[place - 1] == "-m"
        if Path(word).name in _PROGRAMS or (after_module and word in _MODULES):
            return command[place + 1 :]
    return None


def _find_verb(words: Sequence[str]) -> str:
    from mcp_gateway_cli.verbs import VERBS

    return read_command_line(words, VERBS).verb


def _find_file(folder: Path, command: Sequence[str]) -> Path | None:
    """Return the file of servers of a gateway, None if unknown."""
    words = _find_words(command) or ()
    try:
        working_directory = (folder / "cwd").readlink()
        lines = (folder / "environ").read_bytes().decode(errors="replace").split("\0")
    except OSError:  # hardened: only its command line can be read
        working_directory, lines = Path(), []
    environ = dict(line.split("=", 1) for line in lines if "=" in line)
    given = find_config_option(words) or environ.get(SERVERS, "")
    if not given and (not lines or not (working_directory / FILE_NAME).is_file()):
        return None
    found = working_directory / (given or FILE_NAME)
    return found if found.is_absolute() else None


def find_config_option(words: Sequence[str]) -> str:
    """Return the value of `--config` in a command line, or nothing."""
    for place, word in enumerate(words):
        if word == "--config":
            return next(iter(words[place + 1 :]), "")
        if word.startswith("--config="):
            return word.partition("=")[2]
    return ""
