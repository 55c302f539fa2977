"""Completion in real shells, installed as `completion --help` says."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pexpect
import pytest

from .support.gateways import GATEWAY, plain_entry
from .support.terminal_session import SECONDS, Home

PROGRAM = "mcp-gateway"
PATH = Path(GATEWAY).with_name(PROGRAM)
TAB, TO_THE_START = "\t", "\x01"
STARTS = {
    "bash": ("bash", "--norc", "--noprofile", "-i"),
    "zsh": ("zsh", "-f", "-i"),
    "fish": ("fish", "--no-config", "-i"),
}
PREPARATIONS = {
    "bash": f"source ~/.local/share/bash-completion/completions/{PROGRAM}",
    "zsh": "fpath=(~/.zfunc $fpath); autoload -Uz compinit; compinit -u",
    "fish": f"source ~/.config/fish/completions/{PROGRAM}.fish",
}
PROMPT = "ready> "
PROMPTS = {
    "bash": f"PS1='{PROMPT}'; bind 'set bell-style none'; bind 'set enable-bracketed-paste off'",
    "zsh": f"PS1='{PROMPT}'; unsetopt beep zle_bracketed_paste prompt_sp",
    "fish": f"function fish_prompt; echo -n '{PROMPT}'; end",
}

COMPLETED = [
    ("connect curs", "connect cursor "),
    ("remove on", "remove one "),
    ("call one__ec", "call one__echo "),
    ("plugins new ran", "plugins new ranker "),
    ("check --conn", "check --connect "),
    ("check fol", "check fol"),
    ("check --config fol", "check --config folder/"),
]
"""What is typed before a tab, and what then stands there; a space at the end means that the word is complete."""


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    folder = tmp_path_factory.mktemp("home")
    (folder / "folder").mkdir()
    (folder / "servers.json").write_text(json.dumps({"servers": [plain_entry("one")]}), encoding="utf-8")
    path = f"{PATH.parent}:/usr/local/bin:/usr/bin:/bin"
    found = Home(folder, {"SERVER_CONFIG_PATH": str(folder / "servers.json"), "PATH": path})
    assert found.run("tools").returncode == 0  # from then on its tools are known
    return found


@contextmanager
def open_shell(home: Home, shell: str) -> Iterator[pexpect.spawn]:
    """Open a shell with completion installed as the help says."""
    shown = home.run("completion", "--help", command=(str(PATH),)).stdout.splitlines()
    (line,) = (line for line in shown if f"completion {shell} >" in line)
    for _ in range(2):
        done = home.run("-c", line.strip(), command=("bash",))
        assert (done.returncode, done.stderr) == (0, "")
    environment = {**home.environment, "TERM": "xterm", "COLUMNS": "200"}
    program, *arguments = STARTS[shell]
    child = pexpect.spawn(program, arguments, cwd=str(home.folder), env=environment, encoding="utf-8")
    child.timeout = SECONDS
    child.setwinsize(50, 200)
    try:
        for command in (PROMPTS[shell], PREPARATIONS[shell], "echo pre''pared"):
            child.sendline(command)
        child.expect_exact("prepared\r\n")
        child.expect_exact(PROMPT)
        yield child
    finally:
        child.close(force=True)


@pytest.mark.parametrize("shell", STARTS)
def test_a_shell_completes_verbs_options_and_values(home: Home, shell: str) -> None:
    if shutil.which(shell) is None:
        pytest.skip(f"there is no {shell}")
    with open_shell(home, shell) as child:
        for typed, wanted in COMPLETED:
            child.send(f"{PROGRAM} {typed}{TAB}END{TO_THE_START}printf '<%s>' \n")
            words = f"{PROGRAM} {wanted}END".split(" ")
            child.expect_exact("".join(f"<{word}>" for word in words))
