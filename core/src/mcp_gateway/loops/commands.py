"""Commands, followed through launchers to the programs that they start."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from mcp_gateway.loops.containers import ENGINES, Container, read_container
from mcp_gateway.loops.launchers import LAUNCHERS, Launcher, Words, split_assignment
from mcp_gateway.loops.shells import (
    COMMAND_PROMPTS,
    POWERSHELLS,
    SHELLS,
    find_powershell_line,
    find_prompt_line,
    find_shell_line,
    split_line,
    split_prompt_line,
)

_MAX_NESTING = 12
_PYTHON = re.compile(r"(python|pypy)\d*(\.\d+)*w?|py")
_PYTHON_VALUES = frozenset({"-X", "-W", "--check-hash-based-pycs"})
_JOINED_FLAGS = re.compile(r"(-[bBdEiIOPqsSuvx]+)?-?([mc])(.*)", re.DOTALL)
_ENV_VALUES = frozenset({"-u", "--unset", "-C", "--chdir"})
_NODES = frozenset({"node", "nodejs", "tsx", "ts-node"})
_NODE_VALUES = frozenset({"-r", "--require", "--import", "--loader", "--experimental-loader", "--env-file", "-C"})


@dataclass(frozen=True, slots=True)
class Program:
    """A program that a command starts in the end.

    * `name`: as it stands in the command; of a module, the module.
    * `variables`: what the command sets on the way.
    * `package`: the package that a launcher takes it from, if one does.
    * `code`: Python code that is run.
    * `container`: the container that it runs in.
    """

    name: str
    arguments: tuple[str, ...] = ()
    variables: Mapping[str, str] = field(default_factory=dict)
    package: str = ""
    is_module: bool = False
    code: str = ""
    container: Container | None = None

    @property
    def stem(self) -> str:
        """The name without folder and suffix, in lower case."""
        return stem_of(self.name)


def stem_of(name: str) -> str:
    """Return the name of a program without folder and suffix."""
    return re.sub(r"\.(exe|cmd|bat|ps1|com)$", "", re.split(r"[/\\]", name.lower())[-1])


def find_programs(words: Sequence[str], variables: Mapping[str, str] | None = None) -> list[Program]:
    """Return the programs that a command starts, through its launchers."""
    return list(_follow([*words], dict(variables or {}), _MAX_NESTING))


def _follow(words: list[str], variables: dict[str, str], depth: int) -> Iterator[Program]:
    reading = Words(words)
    variables = {**variables, **reading.take_assignments()}
    if not reading.left or depth <= 0:
        return
    name, rest = reading.left[0], reading.left[1:]
    stem = stem_of(name)
    if (lines := _split_script(stem, rest)) is not None:
        yield from _follow_lines(lines, variables, depth - 1)
    elif stem == "env":
        yield from _follow_env(rest, variables, depth - 1)
    elif _PYTHON.fullmatch(stem):
        yield from _follow_python(rest, variables, depth - 1)
    elif stem in _NODES:
        script = Words(rest)
        script.skip_options(_NODE_VALUES)
        yield from _program(script.left, variables)
    elif stem in ENGINES:
        yield from _follow_container(name, rest, variables, depth - 1)
    elif stem in LAUNCHERS:
        yield from _follow_launcher(LAUNCHERS[stem], rest, variables, depth - 1)
    else:
        yield Program(name, tuple(rest), variables)


def _split_script(stem: str, rest: list[str]) -> Iterator[list[str]] | None:
    """Return the commands of a shell; None if it is none."""
    if stem in SHELLS:
        return split_line(find_shell_line(rest))
    if stem in COMMAND_PROMPTS:
        return split_prompt_line(find_prompt_line(rest))
    return split_line(find_powershell_line(rest)) if stem in POWERSHELLS else None


def _follow_lines(lines: Iterator[list[str]], variables: dict[str, str], depth: int) -> Iterator[Program]:
    for words in lines:
        assigned = [split_assignment(word) for word in words[1:]] if words[0] in {"export", "set"} else []
        if words[0] == "export":
            variables = {**variables, **dict(pair for pair in assigned if pair)}
        elif all(map(split_assignment, words)):
            variables = {**variables, **dict(pair for pair in map(split_assignment, words) if pair)}
        else:
            yield from _follow(words, variables, depth)


def _follow_env(rest: list[str], variables: dict[str, str], depth: int) -> Iterator[Program]:
    reading = Words(rest)
    while True:
        if reading.skip_options(_ENV_VALUES, frozenset({"-S", "--split-string"})):
            line = reading.left.pop(0) if reading.left else ""
            reading.left[:0] = _split(line)
        assigned = reading.take_assignments()
        variables = {**variables, **assigned}
        if not assigned:
            break
    yield from _follow(reading.left, variables, depth)


def _split(line: str) -> list[str]:
    try:
        return shlex.split(line)
    except ValueError:
        return line.split()


def _follow_python(rest: list[str], variables: dict[str, str], depth: int) -> Iterator[Program]:
    reading = Words(_split_flags(rest))
    match reading.skip_options(_PYTHON_VALUES, frozenset({"-m", "-c"})):
        case "-m" if reading.left:
            yield from _follow_module(reading.left, variables, depth)
        case "-c" if reading.left:
            yield Program("python", tuple(reading.left[1:]), variables, code=reading.left[0])
        case _:
            yield from _program(reading.left, variables)


def _split_flags(words: list[str]) -> list[str]:
    """Separate joined flags of Python, such as -Im."""
    for at, word in enumerate(words):
        if not word.startswith("-") or word in _PYTHON_VALUES:
            break
        if found := _JOINED_FLAGS.fullmatch(word):
            return [*words[:at], *(part for part in (found[1], f"-{found[2]}", found[3]) if part), *words[at + 1 :]]
    return words


def _follow_module(words: list[str], variables: dict[str, str], depth: int) -> Iterator[Program]:
    module, *rest = words
    if module in LAUNCHERS:  # python -m uv
        yield from _follow_launcher(LAUNCHERS[module], rest, variables, depth)
    else:
        yield Program(module, tuple(rest), variables, is_module=True)


def _follow_launcher(
    forms: tuple[Launcher, ...], rest: list[str], variables: dict[str, str], depth: int
) -> Iterator[Program]:
    for form in forms:
        reading = Words(list(rest))
        if not reading.take_verb(form.verbs, form.valued):
            continue
        stop = reading.skip_options(form.valued, form.module_options | form.script_options)
        if stop in form.module_options and reading.left:
            yield from _follow_module(reading.left, variables, depth)
        elif stop in form.script_options and reading.left:
            yield from _follow_lines(split_line(reading.left[0]), variables, depth)
        else:
            yield from _follow_operands(form, reading, variables, depth)
        return


def _follow_operands(form: Launcher, reading: Words, variables: dict[str, str], depth: int) -> Iterator[Program]:
    del reading.left[: form.operands]
    reading.skip_options(form.valued)
    if not reading.left:
        return
    package = next(iter(reading.find_values(form.package_options)), "")
    if form.fetches:
        yield Program(reading.left[0], tuple(reading.left[1:]), variables, package or reading.left[0])
    elif reading.left[0].endswith(".py"):  # uv run script.py
        yield from _program(reading.left, variables)
    else:
        yield from _follow(reading.left, variables, depth)


def _follow_container(name: str, rest: list[str], variables: dict[str, str], depth: int) -> Iterator[Program]:
    """Follow a container engine to image and program."""
    if (container := read_container(rest)) is None:
        yield Program(name, tuple(rest), variables)
        return
    inside = dict(container.variables)
    yield Program(container.image, container.words, inside, container=container)
    for program in _follow([*container.words], inside, depth):
        yield replace(program, container=container)


def _program(words: list[str], variables: dict[str, str]) -> Iterator[Program]:
    if words:
        yield Program(words[0], tuple(words[1:]), variables)
