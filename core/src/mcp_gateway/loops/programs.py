"""Programs that are this gateway, or bridges to URLs."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from mcp_gateway.loops.commands import Program, stem_of
from mcp_gateway.loops.launchers import Words

OWN_NAME = "mcp-orchestration-gateway"
_SHORT_NAME = "mcp-gateway"
"""Our second console script; programs of others have this name, too."""

_MODULES = re.compile(r"mcp_gateway(_cli)?(\.cli)?(\.(main|__main__))?")
_CODE = re.compile(
    r"\bmcp_gateway(_cli)?(\.cli)?(\.main|\.__main__)?\b(?!\.)[^;]*\bmain\b|\brun_module\(.mcp_gateway(_cli)?\b"
)
_FILES = re.compile(r"(^|[/\\])mcp_gateway(_cli)?([/\\]cli)?([/\\](main|__main__)\.py)?$")
_CONSOLE_SCRIPT = re.compile(rb"from mcp_gateway(_cli)?(\.cli)?(\.main)? import \w+")
_HEAD_BYTES = 4096
_MAX_SCRIPT_BYTES = 1 << 20
_VALUED = frozenset({"--config", "--transport", "--host", "--port"})
_ARGUMENT = re.compile(r"serve|-{1,2}(config|transport|host|port)(=.*)?")
_BRIDGE = re.compile(r"fastmcp|supergateway|(?=.*mcp).*(remote|proxy|bridge|adapter|stdio|sse|http|gateway|connect).*")
_URL = re.compile(r"(?:^|=)((?:https?|wss?)://\S+)$", re.IGNORECASE)


def is_gateway_program(program: Program, path: str | None = None) -> bool:
    """Whether a program is this gateway, serving.

    `path` is the PATH on which it is searched. A verb other than `serve` ends by itself, so that is no gateway.
    """
    if not _serves(program.arguments):
        return False
    if program.code:
        return _CODE.search(program.code) is not None
    if program.is_module:
        return _MODULES.fullmatch(program.name) is not None and _is_ours_alone(program.arguments)
    if program.package:
        return _is_own_package(program)
    if program.container is not None and program.name == program.container.image:
        return _image_name(program.name) == OWN_NAME
    return _is_own_file(program, path)


def find_bridge_urls(program: Program) -> list[str]:
    """Return the URLs to which a bridge connects its client."""
    names = {program.stem, _package_name(program.package), *re.split(r"[/\\]", program.name.lower())}
    if not any(_BRIDGE.fullmatch(_package_name(name)) for name in names if name):
        return []
    return [found[1] for word in (*program.arguments, *program.variables.values()) if (found := _URL.search(word))]


def find_config_argument(arguments: Sequence[str]) -> str:
    """Return the value of `--config`; empty if there is none."""
    reading = Words([*arguments])
    if reading.left[:1] == ["serve"]:
        del reading.left[0]
    reading.skip_options(_VALUED)
    return next(iter(reading.find_values(frozenset({"--config"}))), "")


def _serves(arguments: Sequence[str]) -> bool:
    reading = Words([*arguments])
    reading.skip_options(_VALUED)
    words = [word for word in reading.left if word not in {"$@", "%*", "$*"}]
    return not ({"--help", "-h", "--version"} & reading.given.keys()) and (not words or words[0] == "serve")


def _is_ours_alone(arguments: Sequence[str]) -> bool:
    """Whether all options are those of this gateway."""
    return all(_ARGUMENT.fullmatch(word) for word in arguments if word.startswith("-"))


def _is_own_package(program: Program) -> bool:
    """Whether a launcher takes the program from our distribution."""
    command, package = _package_name(program.name), _package_name(program.package)
    if OWN_NAME in {command, package}:
        return command in {OWN_NAME, _SHORT_NAME} or command == package
    # On the index, mcp-gateway is somebody else's; a folder or a repository may be ours.
    is_place = re.search(r"[/\\]|^\.", program.package) is not None
    return command == _SHORT_NAME and is_place and OWN_NAME in program.package.lower()


def _package_name(specifier: str) -> str:
    """Return the name in a requirement, path or URL."""
    text = specifier.strip().lower()
    if re.search(r"[/\\]", text) and not re.fullmatch(r"@[\w.-]+/[\w.-]+(@\S*)?", text):
        text = re.sub(r"(\.git)?(@[^/]*)?(#.*)?$", "", text.rstrip("/\\"))
        text = re.split(r"[/\\]", text)[-1]
        text = re.sub(r"-\d[\w.]*(-py3.*)?(\.whl|\.tar\.gz)$", "", text)
    else:
        text = re.split(r"(?<!^)@|[=<>~!\[;\s]", text)[0]
    return re.sub(r"[-_.]+", "-", stem_of(text) if not text.startswith("@") else text)


def _image_name(image: str) -> str:
    return re.sub(r"[@:][^/]*$", "", image.lower()).rpartition("/")[2]


def _is_own_file(program: Program, path: str | None) -> bool:
    if program.stem == OWN_NAME:
        return True
    if _FILES.search(program.name):
        return True
    if program.container is None and (found := shutil.which(program.name, path=path)) is not None:
        return any(stem_of(str(link)) == OWN_NAME for link in _links(Path(found))) or _imports_gateway(Path(found))
    # What is not found here may be where the command is run.
    return program.stem == _SHORT_NAME and _is_ours_alone(program.arguments)


def _links(file: Path) -> Iterator[Path]:
    """Yield a file and the files that it links to."""
    for _ in range(16):
        yield file
        if not file.is_symlink():
            return
        with suppress(OSError):
            file = file.parent / file.readlink()


def _imports_gateway(file: Path) -> bool:
    """Whether a file is our console script, by any name."""
    try:
        with file.open("rb") as script:
            head = script.read(_HEAD_BYTES)
            if head.startswith(b"MZ") and file.stat().st_size < _MAX_SCRIPT_BYTES:
                head += script.read()  # on Windows the script is at the end of a program
    except OSError:
        return False
    return head.startswith((b"#!", b"MZ")) and _CONSOLE_SCRIPT.search(head) is not None
