"""The server file in any of its forms, read into entries."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from mcp_gateway.config.forms.claude_settings import with_denials
from mcp_gateway.config.forms.entries import RawEntry, foreign_entry, native_entry
from mcp_gateway.config.forms.paths import folder_of
from mcp_gateway.config.forms.programs import Program
from mcp_gateway.config.forms.questions import find_questions
from mcp_gateway.config.forms.recognition import (
    describe_stranger,
    find_servers,
    is_comment,
    looks_like_entry,
    named_entries,
)
from mcp_gateway.config.forms.tool_lists import UnclearList, policy_of_document, servers_without
from mcp_gateway.config.forms.variables import InputQuestion
from mcp_gateway.config.syntax.json_text import parse_json
from mcp_gateway.config.syntax.markup import (
    describe_strange_text,
    looks_like_toml,
    looks_like_yaml,
    parse_toml,
    parse_yaml,
)
from mcp_gateway.config.tool_policy import ToolPolicy
from mcp_gateway.plugin import ConfigError
from mcp_gateway.plugin.utilities.atomic_files import describe_read_error
from mcp_gateway.protocol.tool_names import sanitize_server_name, sanitize_server_names
from mcp_gateway.text.suggestions import suggest_word

_FORMS = 'write {"servers": [...]} or {"mcpServers": {...}}'
_MAX_SHOWN = 5
_PROJECT_LISTS = ("disabledMcpServers", "disabledMcpjsonServers")
_OUR_KEYS = ("version", "servers", "mcpServers", "$schema")

CheckFn = Callable[[bytes], None]
"""Raises `ConfigError` if the content of the file must not be used."""


@dataclass(frozen=True, slots=True)
class EntryFile:
    """The entries of a server file.

    * `folder`: where relative paths begin.
    * `questions`: the inputs that the file describes.
    """

    entries: tuple[RawEntry, ...] = ()
    folder: Path = Path()
    questions: Mapping[str, InputQuestion] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()


def read_entry_file(path: Path, check: CheckFn | None = None) -> EntryFile:
    """Read the file of servers in any of its forms.

    `check` gets exactly the bytes that are used, and may reject them.

    Raises:
        ConfigError: the file cannot be read, or has none of the forms.

    """
    return read_entries(path, *read_document(path, check))


def read_document(path: Path, check: CheckFn | None = None) -> tuple[dict[str, Any], list[str]]:
    """Read a file of servers as a document; return it with warnings.

    Raises:
        ConfigError: it cannot be read, or is no document; the message names the file.

    """
    try:
        return _read_document(path, check)
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from None
    except RecursionError:
        raise ConfigError(f"{path}: it is nested too deeply") from None


def read_entries(path: Path, document: dict[str, Any], warnings: Iterable[str] = ()) -> EntryFile:
    """Return the entries of a document.

    Raises:
        ConfigError: it has none of the forms; the message names the file.

    """
    try:
        reading = _DocumentReader(path, document)
        entries = reading.read()
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from None
    except RecursionError:
        raise ConfigError(f"{path}: it is nested too deeply") from None
    return EntryFile(
        tuple(entries),
        folder_of(path, foreign=any(entry.foreign for entry in entries)),
        find_questions(document),
        tuple(f"{path}: {warning}" for warning in (*warnings, *reading.warnings)),
    )


def _read_document(path: Path, check: CheckFn | None) -> tuple[dict[str, Any], list[str]]:
    document, warnings = _parse(path, _read_text(path, check))
    if isinstance(document, list) and any(map(looks_like_entry, document)):
        document = {"servers": document}
    if not isinstance(document, dict):
        raise ConfigError("it must hold a JSON object, which stands in braces: { ... }")
    return document, warnings


def _read_text(path: Path, check: CheckFn | None) -> str:
    try:
        content = path.read_bytes()
        if check is not None:
            check(content)
        # Editors on Windows begin files with a byte order mark, and some write UTF-16.
        encoding = "utf-16" if content[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
        text = content.decode(encoding)
    except FileNotFoundError:
        raise ConfigError("there is no such file; write it, or set SERVER_CONFIG_PATH to the file of servers") from None
    except UnicodeDecodeError:
        raise ConfigError("it cannot be read: it is not UTF-8; save it as UTF-8") from None
    except OSError as error:
        reason = "it is a folder; name the file in it" if path.is_dir() else describe_read_error(error)
        raise ConfigError(f"it cannot be read: {reason}") from None
    if not text.strip():
        raise ConfigError(f"it is empty; {_FORMS}")
    return text


def _parse(path: Path, text: str) -> tuple[Any, list[str]]:
    """Parse a text by the file's name, or by its look."""
    suffix = path.suffix.lower()
    if stranger := describe_strange_text(text):
        raise ConfigError(f"it looks like {stranger}, not like a file of servers: {_FORMS}")
    if suffix == ".toml" or (suffix not in {".yaml", ".yml", ".json", ".jsonc"} and looks_like_toml(text)):
        return parse_toml(text)
    if suffix in {".yaml", ".yml"} or (suffix not in {".json", ".jsonc"} and looks_like_yaml(text)):
        return parse_yaml(text)
    try:
        return parse_json(text)
    except ConfigError:
        # A file may have the wrong name.
        if looks_like_toml(text):
            return parse_toml(text)
        if looks_like_yaml(text):
            return parse_yaml(text)
        raise


class _DocumentReader:
    """A single pass over a document that collects entries and warnings."""

    def __init__(self, path: Path, document: dict[str, Any]) -> None:
        self._path = path
        self._document = document
        self._names: Mapping[str, str] = {}
        self._elsewhere: list[str] = []
        self.warnings: list[str] = []

    def read(self) -> list[RawEntry]:
        """Return the entries.

        Raises:
            ConfigError: the document has no servers.

        """
        native = self._document.get("servers")
        foreign = list(find_servers(self._document, self._path))
        here = [project for folder, project in self._find_projects() if _is_here(folder)]
        maps = [*(servers for *_, servers in foreign), *(project["mcpServers"] for project in here)]
        self._names = sanitize_server_names(
            [name for held in maps for _, name, _ in named_entries(held, self._path.stem)]
        )
        projects = list(self._read_projects())
        entries: list[RawEntry] = []
        if isinstance(native, list):
            self._warn_unknown_keys()
            listed = (native_entry(str(self._path), number, item) for number, item in enumerate(native))
            entries += [replace(entry, place=("servers",), key=number) for number, entry in enumerate(listed)]
        # What a project leaves out is left out of the servers for all projects, too.
        document = {**self._document, **{key: _join_lists(self._document, here, key) for key in _PROJECT_LISTS}}
        for program, place, servers in foreign:
            read = self._read_servers(program, servers, self._complete(program, document))
            entries += [replace(entry, place=place) for entry in read]
        entries += projects
        if self._elsewhere:
            self._tell_elsewhere(is_empty=not entries)
        elif not isinstance(native, list) and not foreign and not projects:
            entries += self._read_single()
        return _without_repeated(entries)

    def _tell_elsewhere(self, *, is_empty: bool) -> None:
        shown = "; ".join(self._elsewhere[:_MAX_SHOWN])
        more = len(self._elsewhere) - _MAX_SHOWN
        words = f"servers of single projects are used only in the folder of the project: {shown}"
        words += f"; and those of {more} more" if more > 0 else ""
        if is_empty:
            raise ConfigError(f"it has no servers for this folder: {words}")
        self.warnings.append(words)

    def _complete(self, program: Program, document: Mapping[str, Any]) -> Mapping[str, Any]:
        return with_denials(document, self._path, self.warnings) if program.name == "Claude Code" else document

    def _read_servers(self, program: Program, servers: Any, document: Mapping[str, Any]) -> Iterator[RawEntry]:
        for key, name, item in named_entries(servers, self._path.stem):
            # Programs allow any text as a server's name; here it becomes part of tool names.
            names = name, self._names.get(name) or sanitize_server_name(name)
            try:
                policy, unclear = policy_of_document(program, document, name), ""
            except UnclearList as error:
                policy, unclear = ToolPolicy(), str(error)
            entry = foreign_entry(str(self._path), program, names, item, policy)
            reason = servers_without(program, document, name, item)
            entry = replace(entry, title=name, key=key)
            yield _leave_out(entry, reason) if reason else replace(entry, unclear=entry.unclear or unclear)

    def _read_projects(self) -> Iterator[RawEntry]:
        """Yield the servers that Claude Code keeps for one project.

        It is the one in which the working directory is; the servers of others are only named.
        """
        for folder, project in self._find_projects():
            servers = project["mcpServers"]
            if _is_here(folder):
                program = next(program for program, *_ in find_servers({**project, "projects": {}}, self._path))
                document = {**self._document, **project}
                for entry in self._read_servers(program, servers, self._complete(program, document)):
                    yield replace(entry, place=("projects", folder, "mcpServers"))
            else:
                names = ", ".join(name for _, name, _ in named_entries(servers, ""))
                self._elsewhere.append(f"{names} (project {folder})")

    def _find_projects(self) -> list[tuple[str, dict[str, Any]]]:
        projects = self._document.get("projects")
        items = projects.items() if isinstance(projects, dict) else ()
        return [
            (str(folder), project)
            for folder, project in items
            if isinstance(project, dict) and isinstance(project.get("mcpServers"), dict) and project["mcpServers"]
        ]

    def _read_single(self) -> list[RawEntry]:
        """Return the only server of a document that is one."""
        if not looks_like_entry(self._document):
            raise ConfigError(f"it has no servers: {_FORMS}{describe_stranger(self._document)}")
        from mcp_gateway.config.forms.programs import BARE

        name = self._document.get("name")
        named = name if isinstance(name, str) else self._path.stem
        names = named, sanitize_server_name(named)
        return [foreign_entry(str(self._path), BARE, names, self._document, ToolPolicy())]

    def _warn_unknown_keys(self) -> None:
        for key, value in self._document.items():
            if key not in _OUR_KEYS and not is_comment(key, value):
                self.warnings.append(f"nobody reads the key {key!r}{suggest_word(key, _OUR_KEYS)}")


def _leave_out(entry: RawEntry, reason: str) -> RawEntry:
    """Switch an entry off, as the document says elsewhere."""
    return replace(entry, keys={**entry.keys, "enabled": False}, warnings=(), unclear=reason)


def _without_repeated(entries: list[RawEntry]) -> list[RawEntry]:
    """Leave out entries of other programs that are exactly repeated."""
    kept: list[RawEntry] = []
    seen: dict[str, list[RawEntry]] = {}
    for entry in entries:
        same = seen.setdefault(entry.where, [])
        if not entry.foreign or not any(entry.keys == other.keys and entry.policy == other.policy for other in same):
            kept.append(entry)
            same.append(entry)
    return kept


def _join_lists(document: Mapping[str, Any], projects: list[dict[str, Any]], key: str) -> list[Any]:
    """Join the lists of a document and of projects in it."""
    lists = [holder.get(key) for holder in (document, *projects)]
    return [item for listed in lists if isinstance(listed, list) for item in listed]


def _is_here(folder: str) -> bool:
    """Whether the working directory is in this folder."""
    try:
        here = Path.cwd().resolve()
        return here.is_relative_to(Path(folder).resolve())
    except (OSError, ValueError):
        return False
