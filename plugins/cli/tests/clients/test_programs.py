"""Where programs keep their files, for three systems, by given homes and environments."""

from __future__ import annotations

from pathlib import Path

import pytest
from mcp_gateway_cli.clients.machine import Machine
from mcp_gateway_cli.clients.programs import PROGRAMS, find_program

from mcp_gateway.plugin import ConfigError

HOME = Path("/home/me")
FIRST = {
    "claude-desktop": (
        ".config/Claude/claude_desktop_config.json",
        "Library/Application Support/Claude/claude_desktop_config.json",
        "AppData/Roaming/Claude/claude_desktop_config.json",
    ),
    "claude-code": (".claude.json",) * 3,
    "cursor": (".cursor/mcp.json",) * 3,
    "vscode": (
        ".config/Code/User/mcp.json",
        "Library/Application Support/Code/User/mcp.json",
        "AppData/Roaming/Code/User/mcp.json",
    ),
    "vscode-insiders": (
        ".config/Code - Insiders/User/mcp.json",
        "Library/Application Support/Code - Insiders/User/mcp.json",
        "AppData/Roaming/Code - Insiders/User/mcp.json",
    ),
    "vscodium": (
        ".config/VSCodium/User/mcp.json",
        "Library/Application Support/VSCodium/User/mcp.json",
        "AppData/Roaming/VSCodium/User/mcp.json",
    ),
    "windsurf": (".codeium/windsurf/mcp_config.json",) * 3,
    "codex": (".codex/config.toml",) * 3,
    "gemini": (".gemini/settings.json",) * 3,
    "qwen": (".qwen/settings.json",) * 3,
    "zed": (".config/zed/settings.json", ".config/zed/settings.json", "AppData/Roaming/Zed/settings.json"),
    "goose": (
        ".config/goose/config.yaml",
        ".config/goose/config.yaml",
        "AppData/Roaming/Block/goose/config/config.yaml",
    ),
    "opencode": (".config/opencode/opencode.json",) * 3,
    "crush": (".config/crush/crush.json", ".config/crush/crush.json", "AppData/Local/crush/crush.json"),
    "cline": (
        ".config/Code/User/globalStorage/saoudrizwan.claude-dev/settings/cline_mcp_settings.json",
        "Library/Application Support/Code/User/globalStorage/saoudrizwan.claude-dev/settings/cline_mcp_settings.json",
        "AppData/Roaming/Code/User/globalStorage/saoudrizwan.claude-dev/settings/cline_mcp_settings.json",
    ),
    "roo": (
        ".config/Code/User/globalStorage/rooveterinaryinc.roo-cline/settings/mcp_settings.json",
        "Library/Application Support/Code/User/globalStorage/rooveterinaryinc.roo-cline/settings/mcp_settings.json",
        "AppData/Roaming/Code/User/globalStorage/rooveterinaryinc.roo-cline/settings/mcp_settings.json",
    ),
    "kilo": (
        ".config/Code/User/globalStorage/kilocode.kilo-code/settings/mcp_settings.json",
        "Library/Application Support/Code/User/globalStorage/kilocode.kilo-code/settings/mcp_settings.json",
        "AppData/Roaming/Code/User/globalStorage/kilocode.kilo-code/settings/mcp_settings.json",
    ),
    "lm-studio": (".lmstudio/mcp.json",) * 3,
    "copilot": (".copilot/mcp-config.json",) * 3,
    "kiro": (".kiro/settings/mcp.json",) * 3,
    "amazon-q": (".aws/amazonq/mcp.json",) * 3,
    "amp": (".config/amp/settings.json",) * 3,
    "continue": (".continue/config.yaml",) * 3,
}


@pytest.mark.parametrize("at, system", [(0, "linux"), (1, "darwin"), (2, "win32")])
def test_each_program_has_its_file_at_the_place_of_the_system(at, system):
    machine = Machine(system, HOME)
    assert {program.name: program.find_files(machine)[0] for program in PROGRAMS} == {
        name: HOME / paths[at] for name, paths in FIRST.items()
    }


@pytest.mark.parametrize(
    "system, environ, name, file",
    [
        ("linux", {"XDG_CONFIG_HOME": "/x"}, "zed", "/x/zed/settings.json"),
        ("linux", {"XDG_CONFIG_HOME": "/x"}, "vscode", "/x/Code/User/mcp.json"),
        ("linux", {"XDG_CONFIG_HOME": "relative"}, "zed", "/home/me/.config/zed/settings.json"),
        ("win32", {"APPDATA": "/r"}, "claude-desktop", "/r/Claude/claude_desktop_config.json"),
        ("win32", {"LOCALAPPDATA": "/l"}, "crush", "/l/crush/crush.json"),
        ("linux", {"CLAUDE_CONFIG_DIR": "/c"}, "claude-code", "/c/.claude.json"),
        ("linux", {"CODEX_HOME": "/c"}, "codex", "/c/config.toml"),
        ("linux", {"COPILOT_HOME": "/c"}, "copilot", "/c/mcp-config.json"),
        ("linux", {"GEMINI_CLI_HOME": "/c"}, "gemini", "/c/.gemini/settings.json"),
        ("linux", {"OPENCODE_CONFIG": "/c/my.json"}, "opencode", "/c/my.json"),
    ],
)
def test_variables_move_the_files(system, environ, name, file):
    assert find_program(name).find_files(Machine(system, HOME, environ))[0] == Path(file)


@pytest.mark.parametrize("typed", ["claude-code", "Claude Code", "claude_code", "CLAUDECODE"])
def test_a_program_is_found_by_its_name_in_any_spelling(typed):
    assert find_program(typed).name == "claude-code"


def test_a_program_that_is_not_known_gets_a_suggestion():
    with pytest.raises(ConfigError, match=r"no program is called 'cursr'; did you mean 'cursor'\? known: claude-desk"):
        find_program("cursr")
