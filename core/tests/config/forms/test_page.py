"""The table of core/docs/client-configurations.md is made from the table in the code."""

from __future__ import annotations

import os
from pathlib import Path

from mcp_gateway.config.forms.keys import CALL, LIST, MILLISECONDS, START
from mcp_gateway.config.forms.programs import PROGRAMS

PAGE = Path(__file__).resolve().parents[3] / "docs" / "client-configurations.md"
HEAD = "| program | its servers |"
LIMITS = {CALL: "calls", LIST: "lists", START: "the start"}
FILES = {
    "Claude Code": "`~/.claude.json` (with `projects`), `.mcp.json`",
    "Claude Desktop": "`claude_desktop_config.json`",
    "Cursor": "`.cursor/mcp.json`",
    "VS Code": "`.vscode/mcp.json`, `settings.json`, `inputs`",
    "Windsurf": "`mcp_config.json`",
    "Codex": "`.codex/config.toml`",
    "Gemini CLI": "`.gemini/settings.json`",
    "Zed": "`zed/settings.json`",
    "Goose": "`goose/config.yaml`",
    "opencode": "`opencode.json`, `opencode.jsonc`",
    "Crush": "`crush.json`",
    "Cline": "`cline_mcp_settings.json`",
    "Roo Code": "`mcp_settings.json`, `.roo/mcp.json`",
    "LM Studio": "`.lmstudio/mcp.json`",
    "Copilot CLI": "`mcp-config.json`",
    "Kiro": "`.kiro/settings/mcp.json`, agents of Kiro and Amazon Q",
    "Amp": "the place",
    "Continue": "`.continue/`",
    "LibreChat": "`librechat.yaml`",
}


def code(names):
    return ", ".join(f"`{name}`" for name in names)


def row(program):
    known = code(sorted(program.entry_keys))
    forbids = [*program.deny, *(".".join(place) for place, _ in program.denied_tools)]
    forbids += [".".join(place) for place, _ in program.tool_switches]
    servers = [".".join(place) for place in (*program.denied_servers, *program.allowed_servers)]
    forbids += [*servers, *(".".join(place) for place, _ in program.switches)]
    if program.name == "Zed":
        forbids += ["agent.profiles", "agent.tool_permissions"]
    limits = [f"`{key}`: {describe_limit(*limit)}" for key, limit in program.timeouts.items()]
    cells = (
        program.name,
        code(dict.fromkeys(".".join(place) for place in program.places)),
        FILES[program.name] + (f"; {known}" if known else ""),
        code([*program.allow, *(".".join(place) for place, _ in program.permitted_tools)]),
        code(dict.fromkeys(forbids)),
        ", ".join(limits).removeprefix("`timeout`: ") or "as it looks",
    )
    return f"| {' | '.join(cells)} |"


def describe_limit(ours, unit):
    what = f", of {LIMITS[ours]}" if ours in LIMITS else ""
    return f"{'ms' if unit == MILLISECONDS else 's'}{what}"


def test_the_page_has_the_table_of_the_code():
    text = PAGE.read_text(encoding="utf-8")
    before, _, rest = text.partition(HEAD)
    head, ruler, *lines = (HEAD + rest).splitlines()
    count = next(at for at, line in enumerate(lines) if not line.startswith("|"))
    made = "\n".join([head, ruler, *map(row, PROGRAMS), *lines[count:], ""])
    if os.environ.get("RENEW_PAGES"):
        PAGE.write_text(before + made, encoding="utf-8")
    assert before + made == text, f"renew it: RENEW_PAGES=1 pytest {__file__}"
