"""Contract of commands, and a context to run them in."""

from __future__ import annotations

import inspect
import json
import re
import shlex
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any, ClassVar

from mcp_gateway.plugin import AuthStrategy, Bound, Command, ConfigError
from mcp_gateway_testkit.contract import InstalledContract

_VERB = re.compile(r"[a-z][a-z0-9-]{0,30}")
_VALUES = frozenset({"", "servers", "tools", "files", "folders"})
_RESERVED = frozenset({"-h", "--help", "--config", "--json", "--version"})


@dataclass
class RecordingContext:
    """A `CommandContext` that keeps what is printed.

    `results` are the results of tools, by full name; `strategies` the auth strategies of servers.
    """

    results: Mapping[str, dict[str, Any]] = field(default_factory=dict)
    server_names: tuple[str, ...] = ()
    strategies: Mapping[str, Bound[AuthStrategy]] = field(default_factory=dict)
    environ: Mapping[str, str] = field(default_factory=dict)
    shown: list[str] = field(default_factory=list)
    complained: list[str] = field(default_factory=list)
    calls: list[tuple[str, Mapping[str, Any]]] = field(default_factory=list)

    def find_auth(self, server: str) -> Bound[AuthStrategy] | None:
        """Return the auth strategy of a server."""
        if server not in self.server_names:
            raise ConfigError(f"there is no server {server!r}")
        return self.strategies.get(server)

    @asynccontextmanager
    async def open_client(self) -> AsyncIterator[RecordingContext]:
        """Yield a client that answers with the `results`."""
        yield self

    async def call(self, tool: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """Return the result of a tool, or an error."""
        self.calls.append((tool, arguments))
        text = {"type": "text", "text": f"unknown tool {tool}"}
        return self.results.get(tool, {"isError": True, "content": [text]})

    async def wait_for_servers(self, seconds: float) -> None:
        """Wait for nothing: there are no servers."""

    def show(self, *lines: str, flush: bool = False) -> None:  # as the protocol has it
        """Keep lines of standard output."""
        self.shown += lines

    def show_json(self, value: Any) -> None:
        """Keep a value as JSON."""
        self.shown.append(json.dumps(value))

    def complain(self, *lines: str) -> None:
        """Keep lines of standard error."""
        self.complained += lines


class CommandContract(InstalledContract):
    """Contract of commands: set `command` to what the plugin's hook yields."""

    hook = "mcp_gateway_commands"
    entry_prefix = "command"

    command: ClassVar[Command]

    @property
    def offered_name(self) -> str:
        """The verb."""
        return self.command.name

    def is_mine(self, item: object) -> bool:
        """Whether an item of the hook is the command."""
        return isinstance(item, Command) and item.name == self.command.name

    def test_the_entry_point_is_named_after_its_kind(self) -> None:
        """Plugins that bring something else besides are named after that."""

    def test_the_verb_is_one_word_and_the_summary_one_line(self) -> None:
        """Both stand in a line of `--help`."""
        assert _VERB.fullmatch(self.command.name), "a lower-case word, with digits and hyphens"
        summary = self.command.summary
        assert summary.strip()
        assert "\n" not in summary
        assert summary[0].islower(), "an imperative in lower case"
        assert not summary.endswith("."), "without a full stop"

    def test_it_can_be_run(self) -> None:
        """Its function is there, and takes a context and arguments."""
        run = self.command.run
        if isinstance(run, str):
            module, _, name = run.partition(":")
            run = getattr(import_module(module), name)
        inspect.signature(run).bind(RecordingContext(), object())

    def test_every_argument_is_described(self) -> None:
        """`--help` shows each with its help.

        Those that all commands have are not its own.
        """
        for argument in self.command.arguments:
            assert argument.help.strip(), f"{argument.names}: help is missing"
            assert not _RESERVED & set(argument.names), f"{argument.names}: every command has that"
            assert argument.values in _VALUES, f"{argument.names}: values are one of {', '.join(sorted(_VALUES))}"
            dashed = [name.startswith("-") for name in argument.names]
            assert all(dashed) or (len(dashed) == 1 and argument.names[0].isidentifier()), argument.names

    def test_there_are_examples(self) -> None:
        """Each is a command line that begins with the verb."""
        assert self.command.examples
        for example in self.command.examples:
            assert shlex.split(example)[0] == self.command.name
