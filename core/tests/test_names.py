"""The ratchet on names and prose: figures may only get better. Lower a ceiling when its figure has fallen."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from pathlib import Path
from statistics import median

import pytest

ROOT = Path(__file__).resolve().parents[2]
CORE = ROOT / "core" / "src" / "mcp_gateway"
SOURCES = sorted(
    path
    for folder in (CORE, *sorted((ROOT / "plugins").glob("*/src")), ROOT / "tests" / "kit" / "src")
    for path in folder.rglob("*.py")
    if "template" not in path.parts
)

MAX_PARTICIPLE_FUNCTIONS = 0.01
MAX_GERUND_MODULES = 0.01
MAX_FIRST_LINE_WORDS = 12
MAX_FIRST_LINE_MEDIAN = 9
MAX_MODULES_IN_FOLDER = 12
MAX_BANNED_NAMES = 0
"""How many pairs of a file and a banned name there are."""

MAX_LINES = 300
LONG_FILES: frozenset[str] = frozenset()
"""Files that are longer still: none may be added."""

TOP_OF_CORE = {"__init__", "__main__", "app", "main"}


def words(text: str) -> frozenset[str]:
    """Return the words of a text."""
    return frozenset(text.split())


IRREGULAR = words(
    "begun bound broken brought built caught chosen done drawn felt found given gone heard held hidden kept known led"
    " left lent lost made meant met paid said seen sent shown spent spoken taken thrown told understood wired worn"
    " written"
)
"""Participles that do not end in -ed."""

NO_PARTICIPLES = words("embed exceed feed need proceed seed shed speed")
"""Verbs and nouns in -ed."""

NO_GERUNDS = words("framing logging pinning string")
"""Nouns of the trade in -ing."""

PREFIXES = words("on is has can should with without from to")
"""First words of handlers, predicates and conversions: a participle may follow."""

FRAMEWORK_NAMES = words("connection_lost connection_made data_received eof_received")
"""Methods that asyncio's protocols prescribe."""

BANNED_NAMES = words("hello it most own said told")
"""Words that say nothing as names of functions, parameters, variables, fields."""

BANNED_WORDS = re.compile(r"\b(nobody|somebody|whoever|whomever|everybody|anybody)\b", re.IGNORECASE)

MAX_EVENT_WORDS = 4

EVENT = re.compile(r"[A-Za-z][\w/-]*( [\w/-]+)*")
"""What the event of a log line looks like: words, and no placeholder, no punctuation."""

ARTICLES = words("a an the")
"""What has one is a sentence."""

LOGGERS = words("log logger")

LEVELS = words("debug info warning error exception critical log")
"""Methods that write a log line."""

Documented = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


@cache
def nodes() -> Sequence[tuple[str, ast.AST]]:
    """Return all syntax nodes, each with its file."""
    trees = [(path.relative_to(ROOT).as_posix(), ast.parse(path.read_text(encoding="utf-8"))) for path in SOURCES]
    return [(file, node) for file, tree in trees for node in ast.walk(tree)]


def first_lines() -> Iterator[tuple[str, str]]:
    """Iterate over the first lines of all docstrings, each with its place."""
    for file, node in nodes():
        if isinstance(node, Documented) and (text := ast.get_docstring(node)):
            yield f"{file}: {getattr(node, 'name', '<module>')}", text.partition("\n")[0]


def is_participle(word: str) -> bool:
    """Whether a word is the past participle of a verb, as far as its letters tell."""
    return word in IRREGULAR or (word.endswith("ed") and len(word) > len("shed") and word not in NO_PARTICIPLES)


def has_participle_name(function: str) -> bool:
    """Whether a function is named by what was done rather than by what it does."""
    first = function.strip("_").partition("_")[0]
    return function not in FRAMEWORK_NAMES and first not in PREFIXES and is_participle(first)


def has_gerund_name(module: str) -> bool:
    """Whether a module is named by an activity or a state rather than by a thing."""
    last = module.rpartition("_")[2]
    return (last.endswith("ing") and last not in NO_GERUNDS) or is_participle(last)


def names_of(node: ast.AST) -> Iterator[str]:
    """Iterate over the names that a node binds."""
    match node:
        case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
            yield name
        case ast.arg(arg=name) | ast.Name(id=name, ctx=ast.Store()) | ast.Attribute(attr=name, ctx=ast.Store()):
            yield name
        case ast.ExceptHandler(name=str(name)) | ast.alias(asname=str(name)):
            yield name


def is_logging(node: ast.AST) -> bool:
    """Whether a node is a method of a logger that writes a line."""
    if not isinstance(node, ast.Attribute) or node.attr not in LEVELS:
        return False
    return (getattr(node.value, "id", None) or getattr(node.value, "attr", "")) in LOGGERS


def is_event_call(node: ast.Call) -> bool:
    """Whether a call of a logger has one positional argument, its level aside: an event that is a constant."""
    at = 1 if isinstance(node.func, ast.Attribute) and node.func.attr == "log" else 0
    match node.args[at:]:
        case [ast.Constant(value=str(event))]:
            few = len(event.split()) <= MAX_EVENT_WORDS and not ARTICLES & words(event)
            return few and EVENT.fullmatch(event) is not None and not BANNED_WORDS.search(event)
    return False


def misused_loggers(tree: Iterable[ast.AST]) -> list[ast.AST]:
    """Return the calls of loggers without a constant event, and methods of loggers that are not called at once."""
    found = list(tree)
    calls = [node for node in found if isinstance(node, ast.Call) and is_logging(node.func)]
    called = {id(call.func) for call in calls}
    passed = [node for node in found if is_logging(node) and id(node) not in called]
    return [*(call for call in calls if not is_event_call(call)), *passed]


def count_lines(path: Path) -> int:
    """Return how many lines a file has."""
    return len(path.read_text(encoding="utf-8").splitlines())


def show(rows: Iterable[str]) -> str:
    """Return rows as lines, for the message of a failure."""
    return "\n" + "\n".join(rows)


def test_few_functions_are_named_by_participles():
    names = [(file, node.name) for file, node in nodes() if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    found = [f"{file}: {name}" for file, name in names if has_participle_name(name)]
    assert len(found) <= MAX_PARTICIPLE_FUNCTIONS * len(names), show(found)


def test_few_modules_are_named_by_gerunds_or_participles():
    modules = [path for path in SOURCES if not path.stem.startswith("__")]
    found = [path.relative_to(ROOT).as_posix() for path in modules if has_gerund_name(path.stem)]
    assert len(found) <= MAX_GERUND_MODULES * len(modules), show(found)


def test_first_lines_of_docstrings_are_short():
    found = [f"{place}: {line}" for place, line in first_lines() if len(line.split()) > MAX_FIRST_LINE_WORDS]
    assert found == [], show(found)


def test_half_of_the_first_lines_are_shorter_still():
    assert median(len(line.split()) for _, line in first_lines()) <= MAX_FIRST_LINE_MEDIAN


def test_first_lines_name_things_and_not_nobody():
    found = [f"{place}: {line}" for place, line in first_lines() if BANNED_WORDS.search(line)]
    assert found == [], show(found)


def test_few_names_are_words_that_say_nothing():
    found = {f"{file}: {name}" for file, node in nodes() for name in names_of(node) if name.strip("_") in BANNED_NAMES}
    assert len(found) <= MAX_BANNED_NAMES, show(sorted(found))


def test_log_events_are_short_constants_and_what_varies_is_in_fields():
    by_file: dict[str, list[ast.AST]] = {}
    for file, node in nodes():
        by_file.setdefault(file, []).append(node)
    found = [f"{file}: {ast.unparse(node)}" for file, tree in by_file.items() for node in misused_loggers(tree)]
    assert found == [], show(found)


@pytest.mark.parametrize(
    "folder", sorted({path.parent for path in SOURCES}), ids=lambda folder: folder.relative_to(ROOT).as_posix()
)
def test_a_folder_holds_few_modules(folder: Path):
    # Private modules, such as `_sdk`, say by their name what is in them.
    modules = sorted(path.name for path in folder.glob("*.py") if not path.stem.startswith("_"))
    assert len(modules) <= MAX_MODULES_IN_FOLDER, show(modules)


def test_a_file_is_cut_before_it_is_long():
    # Equal: a file that was cut leaves the list, and cannot grow again.
    found = {path.relative_to(ROOT).as_posix() for path in SOURCES if count_lines(path) > MAX_LINES}
    assert found == LONG_FILES, show(sorted(found ^ LONG_FILES))


def test_the_top_of_the_core_holds_the_composition_root_only():
    assert {path.stem for path in CORE.glob("*.py")} == TOP_OF_CORE


@pytest.mark.parametrize("name", ["refused", "_kept", "parsed_params", "told_apart", "_given"])
def test_a_participle_is_found(name: str):
    assert has_participle_name(name)


@pytest.mark.parametrize(
    "name", ["refuse", "feed", "_embed", "on_refused", "is_kept", "connection_lost", "read", "red"]
)
def test_what_only_looks_like_a_participle_is_none(name: str):
    assert not has_participle_name(name)


@pytest.mark.parametrize(
    "module,expected",
    [("serving", True), ("write_batching", True), ("prefixed", True), ("framing", False), ("sessions", False)],
)
def test_a_gerund_is_found(module: str, *, expected: bool):
    assert has_gerund_name(module) is expected


def test_every_way_to_bind_a_name_is_looked_at():
    source = """
class said:
    own: int
    def told(self, hello):
        self.most = it = 1
async def told_too(*said, **own): ...
for most in (): ...
with open('x') as own: ...
try: ...
except Exception as said: ...
import x as hello
"""
    names = sorted(name for node in ast.walk(ast.parse(source)) for name in names_of(node))
    expected = "said own told self hello most it told_too said own most own said hello"
    assert names == sorted(expected.split())


@pytest.mark.parametrize(
    "line",
    [
        "log.info(f'{server} failed')",
        "log.info(text)",
        "log.warning('server %s failed', server)",
        "log.error('call failed: it hangs')",
        "log.info('call failed.')",
        "log.debug('asked by nobody')",
        "log.info('sending a request again')",
        "log.exception('a server lists more than it may')",
        "log.log(level, text)",
        "self.logger.info(text)",
        "tell = log.info if failed else log.debug",
        "log.info()",
    ],
)
def test_an_event_that_is_no_short_constant_is_found(line: str):
    assert misused_loggers(ast.walk(ast.parse(line)))


@pytest.mark.parametrize(
    "line",
    [
        "log.info('call failed', server=server)",
        "log.log(level, 'server state', state=state)",
        "log.warning('login failed', extra={'server': server})",
        "self.logger.exception('plain call failed')",
        "math.log(total + 1)",
    ],
)
def test_a_constant_event_with_fields_is_right(line: str):
    assert not misused_loggers(ast.walk(ast.parse(line)))


def test_there_is_something_to_look_at():
    assert sum(is_logging(node) for _, node in nodes()) > 50
    assert {CORE / "app.py", ROOT / "tests" / "kit" / "src" / "mcp_gateway_testkit" / "wire.py"} <= set(SOURCES)
    assert any("plugins" in path.parts for path in SOURCES)
