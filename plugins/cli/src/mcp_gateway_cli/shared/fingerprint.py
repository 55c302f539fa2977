"""The fingerprint of what windows that share a gateway have in common."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator, Mapping
from hashlib import sha256
from pathlib import Path

_NAMES = """\
_ ALACRITTY_LOG ALACRITTY_SOCKET ALACRITTY_WINDOW_ID CLAUDECODE CLAUDE_CODE_ENTRYPOINT CLAUDE_CODE_SSE_PORT
COLORTERM COLUMNS CURSOR_TRACE_ID DESKTOP_STARTUP_ID GNOME_TERMINAL_SCREEN GPG_TTY INVOCATION_ID
ITERM_SESSION_ID JOURNAL_STREAM KITTY_PID KITTY_WINDOW_ID KONSOLE_DBUS_SESSION KONSOLE_DBUS_WINDOW LINES
MANAGERPID OLDPWD PWD SECURITYSESSIONID SHLVL SSH_CLIENT SSH_CONNECTION SSH_TTY STY SYSTEMD_EXEC_PID TERM
TERM_PROGRAM TERM_PROGRAM_VERSION TERM_SESSION_ID TMUX TMUX_PANE VSCODE_CWD VSCODE_GIT_IPC_HANDLE
VSCODE_IPC_HOOK VSCODE_IPC_HOOK_CLI VSCODE_NLS_CONFIG VSCODE_PID VTE_VERSION WEZTERM_PANE WINDOW WINDOWID
XDG_ACTIVATION_TOKEN XDG_SESSION_ID
"""
VOLATILE = frozenset(_NAMES.split())
"""Variables that name a terminal, a session or a window: each window has its own, and no server depends on them."""

SHARED = "GATEWAY_SHARED"
_FILE = "server_config.json"


def compute_fingerprint(environ: Mapping[str, str], folder: Path, state: Path) -> str:
    """Return the fingerprint of a window in a working directory.

    The folder counts because servers are started in it, and the file of servers may depend on it. So do the files that
    a gateway reads only at its start.
    """
    lasting = sorted((name, value) for name, value in environ.items() if name not in VOLATILE and name != SHARED)
    program = [sys.executable, *_list_installed()]
    read_once = [[str(path), _describe(path)] for path in _find_read_once(environ, folder, state)]
    content = json.dumps([os.getuid(), str(folder), program, read_once, lasting])
    return sha256(content.encode("utf-8", "surrogateescape")).hexdigest()[:16]


def _list_installed() -> list[str]:
    """Return the gateway's installed distributions, with their versions."""
    found: set[str] = set()
    for place in sys.path:
        try:
            names = [entry.name for entry in Path(place).iterdir()]
        except OSError:
            continue
        found.update(name for name in names if name.startswith("mcp_gateway_") and name.endswith(".dist-info"))
    return sorted(found)


def _find_read_once(environ: Mapping[str, str], folder: Path, state: Path) -> Iterator[Path]:
    if named := environ.get("GATEWAY_ENV_FILE"):
        yield folder / named
    elif servers := environ.get("SERVER_CONFIG_PATH"):
        yield (folder / servers).parent / ".env"
    else:
        yield folder / _FILE  # a gateway reads it if it is trusted as it is
        yield state / "trusted"


def _describe(path: Path) -> list[int]:
    """Describe which file it is, and which content it has."""
    try:
        found = path.stat()
    except OSError:
        return []
    return [found.st_ino, found.st_size, found.st_mtime_ns]
