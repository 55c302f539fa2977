"""Lines for shells, split into the commands that they run."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator

from mcp_gateway.loops.launchers import to_set

SHELLS = frozenset({"sh", "bash", "dash", "zsh", "ksh", "mksh", "ash", "fish", "busybox", "rbash", "git-bash"})
POWERSHELLS = frozenset({"powershell", "pwsh"})
COMMAND_PROMPTS = frozenset({"cmd"})

_KEYWORDS = frozenset({"then", "do", "else", "elif", "if", "while", "until", "{", "!", "and", "or", "not", "begin"})
_OPERATOR = re.compile(r"[();<>|&\n]+")
_SHELL_VALUES = frozenset({"-o", "-O", "--rcfile", "--init-file", "-C", "--init-command"})
_POWERSHELL_VALUES = to_set("-executionpolicy -ex -ep -workingdirectory -wd -version -v -windowstyle -w")
_POWERSHELL_VARIABLE = re.compile(r"""\$env:(\w+)\s*=\s*["']?([^"';]*)["']?""", re.IGNORECASE)


def find_shell_line(words: list[str]) -> str:
    """Return the line that a shell gets with `-c`; empty if none."""
    left = list(words)
    if left and left[0] in SHELLS:  # busybox sh
        left.pop(0)
    found = False
    while left and left[0].startswith(("-", "+")):
        word = left.pop(0)
        # Flags may be joined, as in -lc.
        if word == "--command" or (word.startswith("-") and not word.startswith("--") and "c" in word[1:]):
            found = True
        elif word in _SHELL_VALUES and left:
            left.pop(0)
        elif word.startswith("--command="):
            return word.partition("=")[2]
    return left[0] if found and left else ""


def find_prompt_line(words: list[str]) -> str:
    """Return the line that `cmd` gets with `/c`; empty if none."""
    for at, word in enumerate(words):
        if re.fullmatch(r"(/[a-z](:\w+)?)*/[ck]", word, re.IGNORECASE):
            # What follows is one line, in one word or in several.
            rest = words[at + 1 :]
            return rest[0] if len(rest) == 1 else " ".join(map(_quote_for_prompt, rest))
        if not word.startswith("/"):
            break
    return ""


def find_powershell_line(words: list[str]) -> str:
    """Return the line that PowerShell gets; empty if it is a file."""
    left = list(words)
    while left:
        word = left.pop(0)
        name = word.lower()
        if not name.startswith(("-", "/")):
            return _to_shell(" ".join([word, *left]))
        if "-command".startswith(name.replace("/", "-")) and len(name) > 1:
            return _to_shell(" ".join(left))
        if name in {"-file", "-f", "-encodedcommand", "-enc", "-e"}:
            return ""
        if name in _POWERSHELL_VALUES and left:
            left.pop(0)
    return ""


def split_line(line: str) -> Iterator[list[str]]:
    """Yield the words of each command in a line for a shell."""
    command: list[str] = []
    words = iter(_split_words(line))
    for word in words:
        if not _OPERATOR.fullmatch(word):
            command.append(word)
        elif word[0] in "<>" or word in {"&>", "&>>"}:
            if command and command[-1].isdigit():
                command.pop()  # the number of what is redirected
            next(words, None)  # what is redirected is no word of the command
        else:
            yield from _strip_keywords(command)
            command = []
    yield from _strip_keywords(command)


def split_prompt_line(line: str) -> Iterator[list[str]]:
    """Yield the words of each command in a line for `cmd`."""
    for part in re.split(r"&&?|\|\|?", line):
        words = [word.strip('"') for word in re.findall(r'(?:[^\s"]|"[^"]*")+', part)]
        if len(words) > 1 and words[0].lower() == "set":
            words = ["export", *words[1:]]
        yield from _strip_keywords(words)


def _strip_keywords(words: list[str]) -> Iterator[list[str]]:
    while words and words[0] in _KEYWORDS:
        words = words[1:]
    if words:
        yield words


def _split_words(line: str) -> list[str]:
    lexer = shlex.shlex(line.replace("\n", " ; "), posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    lexer.commenters = ""
    try:
        return list(lexer)
    except ValueError:  # a quote that does not end
        return line.split()


def _quote_for_prompt(word: str) -> str:
    return f'"{word}"' if re.search(r"[\s&|]", word) else word


def _to_shell(line: str) -> str:
    """Write a line of PowerShell as one for a shell."""
    line = _POWERSHELL_VARIABLE.sub(lambda match: f"export {match[1]}={shlex.quote(match[2])}", line)
    if len(line) > 1 and line[0] == line[-1] == '"':
        line = line[1:-1]
    # There, a backslash is part of a path, and & starts the program behind it.
    return line.replace("\\", "/").replace("& ", " ", 1) if line.startswith("& ") else line.replace("\\", "/")
