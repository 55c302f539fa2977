"""Programs whose configuration files are read, as a table.

A program is known by the place of its servers in the document, by the end of the file's path, and by keys that no other
program has. What differs between programs stands here; what they have in common is in `entries`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from mcp_gateway.config.forms.keys import ALL, CALL, LIST, MILLISECONDS, SECONDS, START

Place = tuple[str, ...]
"""The keys that lead to something in a document."""


@dataclass(frozen=True, slots=True)
class Program:
    """What a program writes into its configuration.

    * `places`: where the servers are, by name or as a list.
    * `file`: how the path of its file ends (a regular expression).
    * `document_keys`, `entry_keys`: keys of the document, and of servers, that only this program has.
    * `timeouts`: its keys of time limits, with ours and the length of its unit in seconds.
    * `allow`, `deny`: keys of a server with names of tools; `has_globs` says whether those in `allow` are globs.
    * `allowed_servers`, `denied_servers`: places of lists with names of servers.
    * `denied_tools`: places of lists with names of tools, and what such a name begins with.
    * `permitted_tools`: places of lists of all tools that may be used, and what names a server there; `*` is all.
    * `tool_switches`: places of objects that switch tools on and off by globs, and what such a glob begins with.
    * `switches`: places and values by which all servers are switched off.
    * `variables`: what it writes for `${NAME}`, as a regular expression and a replacement.
    """

    name: str
    places: tuple[Place, ...]
    file: str = ""
    document_keys: frozenset[str] = frozenset()
    entry_keys: frozenset[str] = frozenset()
    timeouts: Mapping[str, tuple[str, float]] = field(default_factory=dict)
    allow: tuple[str, ...] = ()
    deny: tuple[str, ...] = ()
    has_globs: bool = True
    allowed_servers: tuple[Place, ...] = ()
    denied_servers: tuple[Place, ...] = ()
    denied_tools: tuple[tuple[Place, tuple[str, ...]], ...] = ()
    permitted_tools: tuple[tuple[Place, str], ...] = ()
    tool_switches: tuple[tuple[Place, str], ...] = ()
    switches: tuple[tuple[Place, object], ...] = ()
    variables: tuple[tuple[str, str], ...] = ()


_MCP_SERVERS: tuple[Place, ...] = (("mcpServers",),)
_CLAUDE_TOOLS = ("mcp__{server}__",)
_CLAUDE_DENIALS = ((("permissions", "deny"), _CLAUDE_TOOLS), (("disallowedTools",), _CLAUDE_TOOLS))
_GEMINI_TOOLS = ("", "{server}__", "mcp_{server}_")
_IN_MILLISECONDS = {"timeout": (CALL, MILLISECONDS)}
_IN_SECONDS = {"timeout": (CALL, SECONDS)}

PROGRAMS = (
    Program(
        "Claude Code",
        _MCP_SERVERS,
        file=r"(^|/)(\.claude\.json|\.mcp\.json|\.claude/settings(\.local)?\.json|managed-(mcp|settings)\.json)$",
        document_keys=frozenset({"numStartups", "projects", "hasCompletedOnboarding", "enabledMcpjsonServers"}),
        entry_keys=frozenset({"alwaysLoad", "headersHelper"}),
        timeouts=_IN_MILLISECONDS,
        allowed_servers=(("allowedMcpServers",),),
        denied_servers=(("disabledMcpServers",), ("disabledMcpjsonServers",), ("deniedMcpServers",)),
        denied_tools=_CLAUDE_DENIALS,
    ),
    Program(
        "Claude Desktop",
        _MCP_SERVERS,
        file=r"(^|/)claude_desktop_config\.json$",
        document_keys=frozenset({"globalShortcut", "isUsingBuiltInNodeForMcp"}),
    ),
    Program(
        "Cursor",
        _MCP_SERVERS,
        file=r"(^|/)\.cursor/mcp\.json$",
    ),
    Program(
        "VS Code",
        (("servers",), ("mcp", "servers"), ("mcp.servers",)),
        file=r"(^|/)(\.vscode/(mcp|settings)|Code[^/]*/User/(.*/)?(mcp|settings))\.json$",
        document_keys=frozenset({"inputs", "editor.fontSize", "workbench.colorTheme", "mcp.inputs"}),
        entry_keys=frozenset({"dev", "sandboxEnabled", "sandbox", "gallery"}),
        timeouts=_IN_MILLISECONDS,
        switches=((("chat.mcp.enabled",), False), (("chat.mcp.access",), "none")),
    ),
    Program(
        "Windsurf",
        _MCP_SERVERS,
        file=r"(^|/)(windsurf/|\.codeium/).*mcp_config\.json$",
        entry_keys=frozenset({"serverUrl"}),
        deny=("disabledTools",),
    ),
    Program(
        "Codex",
        (("mcp_servers",),),
        file=r"(^|/)\.codex/(.*/)?config\.toml$",
        timeouts={
            "tool_timeout_sec": (CALL, SECONDS),
            "startup_timeout_sec": (START, SECONDS),
            "startup_timeout_ms": (START, MILLISECONDS),
        },
        allow=("enabled_tools",),
        deny=("disabled_tools",),
        has_globs=False,
    ),
    Program(
        "Gemini CLI",
        _MCP_SERVERS,
        file=r"(^|/)\.(gemini|qwen)/settings\.json$",
        document_keys=frozenset({"selectedAuthType", "security", "contextFileName", "allowMCPServers"}),
        entry_keys=frozenset({"httpUrl", "trust", "includeTools", "excludeTools", "authProviderType"}),
        timeouts={"timeout": (ALL, MILLISECONDS)},
        allow=("includeTools",),
        deny=("excludeTools",),
        has_globs=False,
        allowed_servers=(("mcp", "allowed"), ("allowMCPServers",)),
        denied_servers=(("mcp", "excluded"), ("excludeMCPServers",)),
        denied_tools=((("tools", "exclude"), _GEMINI_TOOLS), (("excludeTools",), _GEMINI_TOOLS)),
        # It leaves what is not set as it is.
        variables=((r"\$(?=[A-Za-z_])(\w+)", r"${\1:-$\1}"),),
    ),
    Program(
        "Zed",
        (("context_servers",),),
        file=r"(^|/)\.?zed/settings\.json$",
        switches=((("disable_ai",), True),),
    ),
    Program(
        "Goose",
        (("extensions",),),
        file=r"(^|/)goose/config\.yaml$",
        document_keys=frozenset({"GOOSE_PROVIDER", "GOOSE_MODEL", "active_provider"}),
        entry_keys=frozenset({"cmd", "envs", "env_keys", "bundled"}),
        timeouts={"timeout": (ALL, SECONDS)},
        allow=("available_tools",),
        has_globs=False,
    ),
    Program(
        "opencode",
        (("mcp",), ("mcp", "servers")),
        file=r"(^|/)opencode\.jsonc?$",
        entry_keys=frozenset({"environment"}),
        timeouts={"timeout": (LIST, MILLISECONDS), "startup": (START, MILLISECONDS), "request": (ALL, MILLISECONDS)},
        tool_switches=((("tools",), "{server}_"), (("permission",), "{server}_")),
        variables=((r"\{(env|file):([^}]*)\}", r"${\1:\2}"),),
    ),
    Program(
        "Crush",
        (("mcp",),),
        file=r"(^|/)\.?crush\.json$",
        timeouts={"timeout": (ALL, SECONDS)},
        allow=("enabled_tools",),
        deny=("disabled_tools",),
        variables=((r"\$(?=[A-Za-z_])(\w+)", r"${\1}"),),
    ),
    Program(
        "Cline",
        _MCP_SERVERS,
        file=r"(^|/)cline_mcp_settings\.json$",
        entry_keys=frozenset({"transportType", "remoteConfigured"}),
        timeouts=_IN_SECONDS,
        deny=("disabledTools",),
    ),
    Program(
        "Roo Code",
        _MCP_SERVERS,
        file=r"(^|/)(mcp_settings|\.(roo|kilocode)/mcp)\.json$",
        entry_keys=frozenset({"alwaysAllow", "watchPaths"}),
        timeouts=_IN_SECONDS,
        deny=("disabledTools",),
    ),
    Program("LM Studio", _MCP_SERVERS, file=r"(^|/)\.lmstudio/mcp\.json$", timeouts=_IN_MILLISECONDS),
    Program(
        "Copilot CLI",
        _MCP_SERVERS,
        file=r"(^|/)(\.copilot/)?mcp-config\.json$",
        timeouts=_IN_MILLISECONDS,
        allow=("tools",),
        has_globs=False,
    ),
    Program(
        "Kiro",
        _MCP_SERVERS,
        file=r"(^|/)\.(kiro|amazonq|aws/amazonq)/.*\.json$",
        document_keys=frozenset({"toolAliases", "toolsSettings"}),
        timeouts=_IN_MILLISECONDS,
        deny=("disabledTools",),
        permitted_tools=((("tools",), "@{server}"),),
    ),
    Program("Amp", (("amp.mcpServers",),), allow=("includeTools",)),
    Program(
        "Continue",
        (*_MCP_SERVERS, ("experimental", "modelContextProtocolServers")),
        file=r"(^|/)\.continue/.*\.(ya?ml|json)$",
        timeouts={"connectionTimeout": (START, MILLISECONDS)},
        variables=((r"\$\{\{\s*(?:secrets|inputs)\.(\w+)\s*\}\}", r"${\1}"),),
    ),
    Program(
        "LibreChat",
        _MCP_SERVERS,
        file=r"(^|/)librechat\.ya?ml$",
        timeouts={"timeout": (ALL, MILLISECONDS), "initTimeout": (START, MILLISECONDS)},
    ),
)

ANY = Program("a client", (*_MCP_SERVERS, ("servers",)))
"""A file of the usual form that shows no sign of its program."""

BARE = Program("a client", ((),))
"""A file that is nothing but the servers."""
