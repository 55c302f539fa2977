"""Control sequences go to terminals only, and not where a person wants none."""

from __future__ import annotations

import io
import logging
import re

import pytest
import structlog

from mcp_gateway.config.settings import read_environment
from mcp_gateway.runtime.logging import configure_logging
from mcp_gateway.runtime.terminal_styles import takes_styles

TIME = r"\d{4}-\d\d-\d\dT[\d:.]+Z"
FIELDS = '"what": "it", "level": "warning"'


class Terminal(io.StringIO):
    def isatty(self):
        return True


PLACES = [
    (Terminal, {"TERM": "xterm"}, True),
    (Terminal, {"TERM": "xterm", "NO_COLOR": ""}, True),
    (Terminal, {"TERM": "xterm", "NO_COLOR": "1"}, False),
    (Terminal, {"TERM": "dumb"}, False),
    (io.StringIO, {"TERM": "xterm"}, False),
]


@pytest.fixture
def place(monkeypatch):
    """Set the environment; return a stream."""

    def make(kind, variables):
        monkeypatch.delenv("NO_COLOR", raising=False)
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        return kind()

    return make


@pytest.mark.parametrize("kind, variables, styled", PLACES)
def test_styles_are_for_terminals(place, kind, variables, styled):
    assert takes_styles(place(kind, variables)) is styled
    assert not takes_styles(None)


@pytest.mark.usefixtures("_log_is_ours")
@pytest.mark.parametrize(
    "kind, log_format, line",
    [
        (Terminal, "auto", r"\d\d:\d\d:\d\d \[warning\] said what=it\n"),
        (io.StringIO, "console", rf"{TIME} \[warning  \] said +\[mcp_gateway.test\] what=it\n"),
        (
            io.StringIO,
            "auto",
            rf'\{{"event": "said", "logger": "mcp_gateway.test", {FIELDS}, "timestamp": "{TIME}"\}}\n',
        ),
    ],
)
def test_the_log_is_short_at_a_terminal_only(place, monkeypatch, kind, log_format, line):
    stream = place(kind, {"NO_COLOR": "1"})
    monkeypatch.setattr("sys.stderr", stream)
    configure_logging(read_environment({"GATEWAY_LOG_FORMAT": log_format}))
    logging.getLogger("mcp_gateway.test").warning("said", extra={"what": "it"})
    assert re.fullmatch(line, stream.getvalue()), stream.getvalue()


@pytest.mark.usefixtures("_log_is_ours")
@pytest.mark.parametrize("kind, variables, styled", PLACES)
def test_the_log_for_people_has_styles_where_they_are_wanted(place, monkeypatch, kind, variables, styled):
    stream = place(kind, variables)
    monkeypatch.setattr("sys.stderr", stream)
    configure_logging(read_environment({"GATEWAY_LOG_FORMAT": "console"}))
    structlog.get_logger("mcp_gateway.test").warning("said", what="it")
    assert ("\x1b[" in stream.getvalue(), "said" in stream.getvalue()) == (styled, True)
