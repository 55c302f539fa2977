"""Programs with MCP servers, as a table of files and forms."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from mcp_gateway.plugin import ConfigError
from mcp_gateway.text.suggestions import suggest_with
from mcp_gateway_cli.clients import entry_forms as forms
from mcp_gateway_cli.clients.entry_forms import WriteEntryFn
from mcp_gateway_cli.clients.machine import Machine

Place = tuple[str, ...]

_EDITORS = ("Code", "Code - Insiders", "VSCodium", "Cursor", "Windsurf")
"""Editors whose extensions keep files in folders of the same layout."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientProgram:
    """A program that starts MCP servers.

    * `name`: what a person types; `title`: what the program calls itself.
    * `find_files`: its user-wide files on a machine, the one to write first.
    * `place`: the keys that lead to its servers in that file.
    * `write_entry`: makes an entry that starts a command.
    * `skeleton`: keys that a new file needs besides the servers.
    * `is_list`: whether its servers are a list, with a name in each.
    """

    name: str
    title: str
    find_files: Callable[[Machine], tuple[Path, ...]]
    place: Place = ("mcpServers",)
    write_entry: WriteEntryFn = forms.write_plain
    skeleton: tuple[tuple[str, str], ...] = ()
    is_list: bool = False


def _home(*paths: str, variable: str = "", base: str = "") -> Callable[[Machine], tuple[Path, ...]]:
    """Find files in the home folder, or where a variable says."""

    def find(machine: Machine) -> tuple[Path, ...]:
        moved = machine.folder(variable) if variable else None
        return tuple(
            moved / Path(path).relative_to(base) if moved is not None else machine.home / path for path in paths
        )

    return find


def _config(*paths: str) -> Callable[[Machine], tuple[Path, ...]]:
    return lambda machine: tuple(machine.config / path for path in paths)


def _support(*paths: str) -> Callable[[Machine], tuple[Path, ...]]:
    return lambda machine: tuple(machine.support / path for path in paths)


def _find_claude_desktop(machine: Machine) -> tuple[Path, ...]:
    name = "claude_desktop_config.json"
    files = [machine.support / "Claude" / name]
    if machine.system == "win32":
        # The package from the store sees a folder of its own in place of APPDATA.
        store = machine.local / "Packages" / "Claude_pzs8sxrjxfjjc" / "LocalCache" / "Roaming"
        files.append(store / "Claude" / name)
    elif machine.system != "darwin":
        files.append(machine.support / "claude" / name)
    return tuple(files)


def _find_zed(machine: Machine) -> tuple[Path, ...]:
    folder = machine.roaming / "Zed" if machine.system == "win32" else machine.config / "zed"
    return (folder / "settings.json",)


def _find_goose(machine: Machine) -> tuple[Path, ...]:
    windows = machine.roaming / "Block" / "goose" / "config"
    return ((windows if machine.system == "win32" else machine.config / "goose") / "config.yaml",)


def _find_opencode(machine: Machine) -> tuple[Path, ...]:
    named = machine.folder("OPENCODE_CONFIG")
    folder = machine.config / "opencode"
    return (*([named] if named else []), folder / "opencode.json", folder / "opencode.jsonc", folder / "config.json")


def _find_crush(machine: Machine) -> tuple[Path, ...]:
    folder = machine.local if machine.system == "win32" else machine.config
    return (folder / "crush" / "crush.json",)


def _extension(identifier: str, file: str, *more: str) -> Callable[[Machine], tuple[Path, ...]]:
    """Find the file of an extension in each of the editors."""

    def find(machine: Machine) -> tuple[Path, ...]:
        stored = Path("User") / "globalStorage" / identifier / "settings" / file
        return (*(machine.support / editor / stored for editor in _EDITORS), *(machine.home / path for path in more))

    return find


PROGRAMS = (
    ClientProgram(name="claude-desktop", title="Claude Desktop", find_files=_find_claude_desktop),
    ClientProgram(
        name="claude-code",
        title="Claude Code",
        find_files=_home(".claude.json", variable="CLAUDE_CONFIG_DIR"),
        write_entry=forms.write_typed,
    ),
    ClientProgram(name="cursor", title="Cursor", find_files=_home(".cursor/mcp.json")),
    ClientProgram(
        name="vscode",
        title="VS Code",
        find_files=_support("Code/User/mcp.json"),
        place=("servers",),
        write_entry=forms.write_typed,
    ),
    ClientProgram(
        name="vscode-insiders",
        title="VS Code Insiders",
        find_files=_support("Code - Insiders/User/mcp.json"),
        place=("servers",),
        write_entry=forms.write_typed,
    ),
    ClientProgram(
        name="vscodium",
        title="VSCodium",
        find_files=_support("VSCodium/User/mcp.json"),
        place=("servers",),
        write_entry=forms.write_typed,
    ),
    ClientProgram(
        name="windsurf",
        title="Windsurf",
        find_files=_home(".codeium/windsurf/mcp_config.json", ".codeium/mcp_config.json"),
    ),
    ClientProgram(
        name="codex",
        title="Codex",
        find_files=_home(".codex/config.toml", variable="CODEX_HOME", base=".codex"),
        place=("mcp_servers",),
    ),
    ClientProgram(
        name="gemini",
        title="Gemini CLI",
        find_files=_home(".gemini/settings.json", variable="GEMINI_CLI_HOME"),
    ),
    ClientProgram(name="qwen", title="Qwen Code", find_files=_home(".qwen/settings.json")),
    ClientProgram(name="zed", title="Zed", find_files=_find_zed, place=("context_servers",)),
    ClientProgram(
        name="goose",
        title="Goose",
        find_files=_find_goose,
        place=("extensions",),
        write_entry=forms.write_goose,
    ),
    ClientProgram(
        name="opencode",
        title="opencode",
        find_files=_find_opencode,
        place=("mcp",),
        write_entry=forms.write_opencode,
        skeleton=(("$schema", "https://opencode.ai/config.json"),),
    ),
    ClientProgram(name="crush", title="Crush", find_files=_find_crush, place=("mcp",), write_entry=forms.write_typed),
    ClientProgram(
        name="cline",
        title="Cline",
        find_files=_extension(
            "saoudrizwan.claude-dev",
            "cline_mcp_settings.json",
            ".cline/data/settings/cline_mcp_settings.json",
        ),
    ),
    ClientProgram(
        name="roo",
        title="Roo Code",
        find_files=_extension("rooveterinaryinc.roo-cline", "mcp_settings.json"),
    ),
    ClientProgram(
        name="kilo",
        title="Kilo Code",
        find_files=_extension("kilocode.kilo-code", "mcp_settings.json"),
    ),
    ClientProgram(
        name="lm-studio", title="LM Studio", find_files=_home(".lmstudio/mcp.json", ".cache/lm-studio/mcp.json")
    ),
    ClientProgram(
        name="copilot",
        title="Copilot CLI",
        find_files=_home(".copilot/mcp-config.json", variable="COPILOT_HOME", base=".copilot"),
        write_entry=forms.write_copilot,
    ),
    ClientProgram(name="kiro", title="Kiro", find_files=_home(".kiro/settings/mcp.json")),
    ClientProgram(name="amazon-q", title="Amazon Q", find_files=_home(".aws/amazonq/mcp.json")),
    ClientProgram(name="amp", title="Amp", find_files=_config("amp/settings.json"), place=("amp.mcpServers",)),
    ClientProgram(
        name="continue",
        title="Continue",
        find_files=_home(".continue/config.yaml"),
        write_entry=forms.write_named,
        skeleton=(("name", "Local config"), ("version", "1.0.0"), ("schema", "v1")),
        is_list=True,
    ),
)


def find_program(name: str) -> ClientProgram:
    """Return the program of a name or a title.

    Raises:
        ConfigError: no program is called so.

    """
    wanted = _fold(name)
    for program in PROGRAMS:
        if wanted in {_fold(program.name), _fold(program.title)}:
            return program
    known = [program.name for program in PROGRAMS]
    there = f"known: {', '.join(known)}"
    raise ConfigError(f"no program is called {name!r}{suggest_with(name, known, there)}")


def _fold(name: str) -> str:
    return "".join(character for character in name.casefold() if character.isalnum())
