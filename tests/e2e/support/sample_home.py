"""A home folder with the configurations of eight programs, and servers of nothing but Python in them."""

from __future__ import annotations

import json
import os
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

from .gateways import GATEWAY, HERE
from .terminal_session import Home

SECRET = "sk-very-secret-0123456789"
GATEWAY_LINK = Path(".local") / "bin" / "mcp-gateway"
OWN_FILE = Path(".config") / "mcp-orchestration-gateway" / "server_config.json"


def write_files(server: str) -> dict[str, str]:
    """Return the configurations of eight programs, by the paths of their files in a home folder."""

    def entry(name: str, *arguments: str) -> str:
        return f'"command": "python3", "args": {json.dumps([server, name, *arguments])}'

    return {
        ".config/Claude/claude_desktop_config.json": f"""{{
  "globalShortcut": "",
  "mcpServers": {{
    "calendar": {{ {entry("calendar", "--tools", "12")}, "env": {{"NOTEBOOK_KEY": "{SECRET}"}} }}
  }}
}}
""",
        ".claude.json": f"""{{
  "numStartups": 12,
  "projects": {{"/somewhere/else": {{"mcpServers": {{"local": {{"command": "x"}}}}, "history": []}}}},
  "mcpServers": {{"notes": {{"type": "stdio", {entry("notes")}}}}},
  "oauthAccount": {{"accountUuid": "1"}}
}}""",
        ".cursor/mcp.json": f"""{{
\t"mcpServers": {{
\t\t"notes": {{{entry("notes")}}},
\t\t"broken": {{{entry("broken", "--fail")}}}
\t}}
}}
""",
        ".config/Code/User/mcp.json": f"""{{
  // what I use at work
  "inputs": [{{"id": "key", "type": "promptString", "password": true}}],
  "servers": {{
    "notes": {{"type": "stdio", {entry("work-notes", "--tools", "8")}}}, // another one
    "asks": {{{entry("asks")}, "env": {{"KEY": "${{input:key}}"}}}},
  }},
}}
""",
        ".codex/config.toml": f"""model = "o5"  # the newest

[mcp_servers.tickets]
command = "python3"
args = {json.dumps([server, "tickets"])}
# all the time there is
tool_timeout_sec = 90

[profiles.fast]
model = "o5-mini"
""",
        ".gemini/settings.json": f"""{{
  "theme": "Dracula",
  "mcpServers": {{"wiki": {{{entry("wiki")}, "excludeTools": ["write_3"]}}}}
}}
""",
        ".config/zed/settings.json": f"""// Zed settings
{{
  "vim_mode": true,
  "context_servers": {{
    "mail": {{ {entry("mail")}, "env": {{}} }},
    "off": {{ {entry("off")}, "enabled": false }}
  }}
}}
""",
        ".config/goose/config.yaml": f"""# Goose
GOOSE_PROVIDER: anthropic
extensions:
  developer:
    bundled: true
    enabled: true
    name: developer
    type: builtin
  music:
    enabled: true
    type: stdio
    name: music
    cmd: python3
    args: [{server}, music]
    timeout: 60
""",
    }


@dataclass(frozen=True)
class SampleHome(Home):
    """A home folder in which eight programs have servers."""

    def read_all(self) -> dict[str, bytes]:
        """Return every file of the programs and of the gateway, byte for byte."""
        names = [*write_files(""), str(OWN_FILE)]
        return {name: path.read_bytes() for name in names if (path := self.folder / name).exists()}

    @property
    def own_servers(self) -> dict[str, dict[str, object]]:
        """Return the servers in the gateway's own file, by name."""
        written = json.loads((self.folder / OWN_FILE).read_bytes())
        return {server["name"]: server for server in written["servers"]}


def make_sample_home(folder: Path) -> SampleHome:
    """Write the configurations, and put the gateway and Python on the PATH."""
    server = folder / "servers" / "notebook.py"
    server.parent.mkdir(parents=True)
    shutil.copyfile(HERE / "servers" / "notebook.py", server)
    scripts = folder / GATEWAY_LINK.parent
    scripts.mkdir(parents=True)
    (folder / GATEWAY_LINK).symlink_to(Path(GATEWAY).with_name("mcp-gateway"))
    (scripts / "python3").symlink_to(Path(sys.executable).resolve())
    for name, content in write_files(str(server)).items():
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content.encode())
    return SampleHome(folder, {"PATH": f"{scripts}{os.pathsep}{os.environ['PATH']}"})
