"""Keys of entries that mean the same in all other programs."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

CALL, LIST, START, ALL = "call_timeout", "list_timeout", "start_timeout", "timeout"
"""Our keys of time limits, in seconds."""

SECONDS, MILLISECONDS = 1.0, 0.001

COMMON_TIMEOUTS: Mapping[str, tuple[str, float]] = {
    "connectionTimeout": (START, MILLISECONDS),
    "initTimeout": (START, MILLISECONDS),
    "initializationTimeout": (START, MILLISECONDS),
    "requestTimeout": (CALL, MILLISECONDS),
    "startup_timeout_ms": (START, MILLISECONDS),
    "startup_timeout_sec": (START, SECONDS),
    "timeoutMs": (ALL, MILLISECONDS),
    "timeout_ms": (ALL, MILLISECONDS),
    "timeout_seconds": (ALL, SECONDS),
    "tool_timeout_sec": (CALL, SECONDS),
}
"""Keys whose meaning their name says, whatever the program is."""

MAX_SECONDS_IN_DOUBT = 3600.0
"""Up to here a `timeout` is in seconds if its unit is unknown.

No program permits more seconds, and few people write fewer milliseconds.
"""

ALLOW_KEYS = frozenset(
    {
        "allowedTools",
        "allowed_tools",
        "available_tools",
        "enabledTools",
        "enabled_tools",
        "includeTools",
        "include_tools",
    }
)
DENY_KEYS = frozenset(
    {
        "blockedTools",
        "blocked_tools",
        "deniedTools",
        "denied_tools",
        "disabledTools",
        "disabled_tools",
        "disallowedTools",
        "disallowed_tools",
        "excludeTools",
        "exclude_tools",
        "excludedTools",
        "excluded_tools",
    }
)
"""Keys of a server that permit or forbid tools. All are read in every form: what is forbidden must not be missed."""

RENAMES: Mapping[str, str] = {
    "arguments": "args",
    "cmd": "command",
    "endpoint": "url",
    "env_file": "envFile",
    "environment": "env",
    "envs": "env",
    "httpUrl": "url",
    "serverUrl": "url",
    "server_url": "url",
    "uri": "url",
    "workingDir": "cwd",
    "workingDirectory": "cwd",
    "working_directory": "cwd",
}
"""Other names of our keys."""

IGNORED = frozenset(
    {
        "alwaysAllow",
        "alwaysLoad",
        "autoApprove",
        "autoStart",
        "auto_approve",
        "bundled",
        "chatMenu",
        "color",
        "dev",
        "default_tools_approval_mode",
        "display_name",
        "displayName",
        "experimental_environment",
        "gallery",
        "icon",
        "id",
        "metadata",
        "providerId",
        "remoteConfigured",
        "required",
        "schema",
        "settings",
        "source",
        "startup",
        "supports_parallel_tool_calls",
        "tags",
        "title",
        "trust",
        "version",
        "watchPaths",
    }
)
"""Keys that mean nothing to a gateway: what is called without asking, and how a server is shown."""

UNKEPT: Mapping[str, str] = {
    "headersHelper": "the gateway does not run headersHelper: give the headers, or an auth_type",
    "sandbox": "the gateway starts it without the sandbox that is set for it",
    "sandboxEnabled": "the gateway starts it without the sandbox that is set for it",
}
"""Keys that a person may rely on and the gateway does not keep, with the warning."""

PROJECT_FOLDER = re.compile(
    r"\.(amazonq|amp|claude|codeium|codex|continue|copilot|crush|cursor|gemini|github|idea|junie|kilocode|kiro|lmstudio"
    r"|opencode|qwen|roo|trae|vscode|windsurf|zed)"
)
"""Folders in a project in which programs keep their files: paths in these begin in the project."""


def list_ignored(keys: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the keys that say something to their program alone.

    Zed writes into each entry where it comes from, which says nothing.
    """
    usual = ("source", "custom")
    return tuple(key for key, value in keys.items() if key in IGNORED and value and (key, value) != usual)
