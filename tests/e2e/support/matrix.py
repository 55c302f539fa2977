"""The matrix of the two eras: clients and servers of both around one gateway, and which tests say what happens."""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from .gateways import Launcher, plain_entry, read_log
from .raw_clients import HttpClient

Json = dict[str, Any]
ERAS = ("handshake", "modern")
TRANSPORTS = ("stdio", "http")
PAIRS = tuple(f"{client} → {server}" for client in ERAS for server in ERAS)
OLD_CLIENT, NEW_CLIENT = PAIRS[:2], PAIRS[2:]
OLD_SERVER, NEW_SERVER = PAIRS[::2], PAIRS[1::2]
EQUAL, FORWARD, BACKWARD = (PAIRS[0], PAIRS[3]), PAIRS[1:2], PAIRS[2:3]
CELLS: dict[str, set[str]] = defaultdict(set)
"""Which pairs of eras have a test for each feature."""

NAME = {"type": "object", "properties": {"name": {"type": "string", "x-hint": 1.0}}, "required": ["name"]}
FORM = {"message": "Your name?", "requestedSchema": NAME, "vendor": [None, 2**70]}
LOGIN = {"mode": "url", "message": "Log in", "url": "https://login.example/"}
SAMPLE = {"messages": [{"role": "user", "content": {"type": "text", "text": "Say"}}], "maxTokens": 5, "vendor": None}
ADA = {"action": "accept", "content": {"name": "Ada", "big": 2**70}}
WORD = {"role": "assistant", "content": {"type": "text", "text": "word"}, "model": "none", "vendor": [1.0]}
HOME = {"roots": [{"uri": "file:///home", "name": "home", "vendor": None}]}
EVERYTHING: Json = {"elicitation": {"form": {}, "url": {}}, "sampling": {}, "roots": {"listChanged": True}}
ANSWERS: Json = {"elicitation/create": ADA, "sampling/createMessage": WORD, "roots/list": HOME}


@dataclass(frozen=True)
class Pair:
    """A client of one era, and a server of one, which is a child of the gateway or reached by HTTP."""

    client: str
    server: str
    over: str

    @property
    def name(self) -> str:
        """The server's name."""
        return f"{self.over}-{self.server}"

    @property
    def modern(self) -> bool:
        """Whether the client is."""
        return self.client == "modern"


_NUMBERS = itertools.count(1)


def fresh_name(pair: Pair, what: object) -> str:
    """Name a call so that a log tells it from all others, those of an earlier try of the same test too."""
    return f"{pair}-{what}-{next(_NUMBERS)}"


def cell(*features: str, pairs: Sequence[str] = PAIRS, over: Sequence[str] = TRANSPORTS) -> Callable[[Any], Any]:
    """Say that a test tells what happens to features between pairs of eras; it is run for each `pair`."""
    for feature in features:
        CELLS[feature] |= set(pairs)
    cases = [Pair(*pair.split(" → "), way) for pair in pairs for way in over]
    return pytest.mark.parametrize(
        "pair", [pytest.param(pair, id=f"{pair.client}-{pair.server}-{pair.over}") for pair in cases]
    )


@dataclass
class MatrixGateway:
    """A gateway in front of four servers, one for each era and transport, and what they have logged."""

    launcher: Launcher
    url: str
    config: Path

    def log(self, pair: Pair) -> Path:
        return self.launcher.folder / f"{pair.name}.log"

    def logged(self, pair: Pair, what: str) -> list[Any]:
        """Return what a server has logged under one heading."""
        return read_log(self.log(pair), what)


@contextmanager
def open_matrix_gateway(folder: Path) -> Iterator[MatrixGateway]:
    """Open a gateway over HTTP with its servers."""
    with ExitStack() as stack:
        launcher = Launcher(folder, stack)
        config = launcher.config(*(full_entry(launcher, Pair("", era, over)) for era in ERAS for over in TRANSPORTS))
        yield MatrixGateway(launcher, launcher.start_http(config).url, config)


_SHARED = pytest.StashKey[MatrixGateway]()


def shared_matrix_gateway(request: pytest.FixtureRequest) -> MatrixGateway:
    """Return the gateway whose lists never change: one for all tests, open until the last of them."""
    if _SHARED not in request.config.stash:
        stack = ExitStack()
        request.config.add_cleanup(stack.close)
        folder = request.getfixturevalue("tmp_path_factory").mktemp("matrix")
        request.config.stash[_SHARED] = stack.enter_context(open_matrix_gateway(folder))
    return request.config.stash[_SHARED]


def full_entry(launcher: Launcher, pair: Pair, *arguments: str, **keys: Any) -> Json:
    """Configure a plain server that has everything; if it is reached by HTTP, start it."""
    log = launcher.folder / f"{pair.name}.log"
    options = ["--full", "--era", pair.server, "--place", pair.name, *arguments]
    keys = {"expose_tools": True, "timeout": 300, **keys}  # no test passes because a call times out
    if pair.over == "stdio":
        return plain_entry(pair.name, log, *options, **keys)
    sessions = ["--sessions"] if pair.server == "handshake" else []
    url, _ = launcher.start_plain_http(*options, *sessions, log=log)
    return {"name": pair.name, "url": url, **keys}


@dataclass
class ClientFactory:
    """Makes clients of a gateway, and closes them."""

    url: str
    stack: ExitStack

    def __call__(
        self, pair: Pair, capabilities: Json | None = None, answers: Json | None = None, **more: Any
    ) -> HttpClient:
        client = HttpClient(
            more.pop("url", self.url), pair.modern, capabilities=capabilities or {}, answers=answers or {}, **more
        )
        self.stack.callback(client.close)
        return client

    def answering(self, pair: Pair, **more: Any) -> HttpClient:
        """Make a client that can be asked everything."""
        return self(pair, EVERYTHING, ANSWERS, **more)


@contextmanager
def open_clients(url: str) -> Iterator[ClientFactory]:
    """Close all clients at the end."""
    with ExitStack() as stack:
        yield ClientFactory(url, stack)


def without_envelope(result: Json) -> Json:
    """Take off what the modern era puts on every result."""
    plain = {key: value for key, value in result.items() if key not in ("resultType", "ttlMs", "cacheScope", "_meta")}
    meta = {key: value for key, value in result.get("_meta", {}).items() if "modelcontextprotocol" not in key}
    return {**plain, **({"_meta": meta} if meta else {})}
