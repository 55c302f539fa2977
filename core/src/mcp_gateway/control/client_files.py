"""Files of other programs, with their servers one by one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mcp_gateway.config.forms.entries import RawEntry
from mcp_gateway.config.forms.entry_file import read_document, read_entries
from mcp_gateway.config.forms.recognition import find_servers
from mcp_gateway.config.forms.variables import InputQuestion


@dataclass(frozen=True, slots=True)
class ClientFile:
    """The servers in a file of another program.

    * `entries`: those that the program has everywhere, in the order of the file.
    * `elsewhere`: the names of those that it has in single projects only.
    * `folder`: where relative paths begin.
    * `questions`: the inputs that the file describes.
    """

    path: Path
    entries: tuple[RawEntry, ...] = ()
    elsewhere: tuple[str, ...] = ()
    folder: Path = Path()
    questions: Mapping[str, InputQuestion] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()


def read_client_file(path: Path) -> ClientFile:
    """Read the servers of a file, which may have none.

    Raises:
        ConfigError: the file cannot be read, or is broken.

    """
    if _is_blank(path):
        return ClientFile(path)
    document, warnings = read_document(path)
    elsewhere = tuple(_name_project_servers(document.pop("projects", None)))
    if not isinstance(document.get("servers"), list) and not any(
        servers for *_, servers in find_servers(document, path)
    ):
        return ClientFile(path, elsewhere=elsewhere)
    file = read_entries(path, document, warnings)
    return ClientFile(path, file.entries, elsewhere, file.folder, file.questions, file.warnings)


def _is_blank(path: Path) -> bool:
    try:
        return not path.read_bytes().strip()
    except OSError:  # what reads it next explains it
        return False


def _name_project_servers(projects: Any) -> Iterator[str]:
    for project in projects.values() if isinstance(projects, dict) else ():
        servers = project.get("mcpServers") if isinstance(project, dict) else None
        yield from map(str, servers) if isinstance(servers, dict) else ()
