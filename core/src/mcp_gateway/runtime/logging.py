"""Logging configuration: one line per event on standard error.

The lines are JSON or formatted for people. Standard output is never used, because it belongs to the protocol.
"""

from __future__ import annotations

import logging
import sys
from typing import Any

import structlog

from mcp_gateway.config.settings import Environment
from mcp_gateway.runtime.log_buffer import BUFFER, SERVER_OUTPUT, BufferHandler
from mcp_gateway.runtime.terminal_styles import takes_styles
from mcp_gateway.text.characters import escape_line, escape_lines
from mcp_gateway.text.redaction import mask_secrets

_OURS = "mcp_gateway"
_TEXTS = frozenset({"exception", "stack"})
_TIME_OF_DAY = slice(11, 19)
_EXTRA = structlog.stdlib.ExtraAdder()


def configure_logging(environment: Environment) -> None:
    """Configure structlog and standard logging to write to standard error.

    Events of both have the same form: plugins, which use standard logging, pass fields as `extra`.

    The configured level applies to the gateway and its plugins. Other libraries log from WARNING on and without
    tracebacks, because they would print requests, and so secrets.
    """
    level = logging.getLevelNamesMapping()[environment.log_level.upper()]
    at_terminal = sys.stderr.isatty()
    as_json = environment.log_format == "json" or (environment.log_format == "auto" and not at_terminal)
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    structlog.configure(
        processors=[
            *shared,
            structlog.processors.format_exc_info,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        # Below the level a log call costs next to nothing, so each request may have one.
        wrapper_class=structlog.make_filtering_bound_logger(level),
        # Safe because module loggers are created before this runs, but used only after it.
        cache_logger_on_first_use=True,
    )
    for_people = [
        *([_shorten_event] if at_terminal else []),
        _escape_event,
        structlog.dev.ConsoleRenderer(
            pad_event_to=0,
            pad_level=not at_terminal,
            colors=takes_styles(sys.stderr),
            exception_formatter=structlog.dev.plain_traceback,
        ),
    ]
    renderers: list[Any] = [structlog.processors.JSONRenderer()] if as_json else for_people
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[structlog.stdlib.add_logger_name, _add_fields, *shared, _without_traceback],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *renderers, _mask_line],
        )
    )
    handler.setLevel(level)
    kept = BufferHandler(BUFFER)
    kept.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[structlog.stdlib.add_logger_name, _add_fields, *shared, _without_traceback],
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.JSONRenderer(),
                _mask_line,
            ],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler, kept]
    root.setLevel(max(level, logging.WARNING))
    for name in (_OURS, *_plugin_loggers()):
        logging.getLogger(name).setLevel(level)
    logging.getLogger(SERVER_OUTPUT).setLevel(logging.DEBUG)


def _plugin_loggers() -> list[str]:
    """Return the top-level logger names of the loaded plugin modules."""
    return sorted({name.partition(".")[0] for name in sys.modules if name.startswith(f"{_OURS}_")})


def _add_fields(logger: Any, method: str, event: Any) -> Any:
    """Add the fields that a plugin passed as `extra`.

    Those of other libraries are left out, because they may be whole requests.
    """
    package = event["logger"].partition(".")[0]
    is_ours = package == _OURS or package.startswith(f"{_OURS}_")
    return _EXTRA(logger, method, event) if is_ours else event


def _shorten_event(_logger: Any, _method: str, event: Any) -> Any:
    """Leave out what a person who watches a terminal does not need."""
    event.pop("logger", None)
    event["timestamp"] = event["timestamp"][_TIME_OF_DAY]
    return event


def _escape_event(_logger: Any, _method: str, event: Any) -> Any:
    """Escape control characters, which the console renderer does not do."""
    return {escape_line(str(key)): _escape_value(key, value) for key, value in event.items()}


def _escape_value(key: str, value: Any) -> Any:
    if isinstance(value, str):
        return escape_lines(value) if key in _TEXTS else escape_line(value)
    return value if isinstance(value, bool | int | float | None) else _Written(escape_line(repr(value)))


class _Written:
    """A value whose `repr` is given."""

    def __init__(self, text: str) -> None:
        self._text = text

    def __repr__(self) -> str:
        """Return the text."""
        return self._text


def _mask_line(_logger: Any, _method: str, line: Any) -> Any:
    """Mask anything that looks like credentials in a log line.

    The whole rendered line is masked, because any part may have text of plugins, servers and libraries.
    """
    return mask_secrets(line) if isinstance(line, str) else line


def _without_traceback(_logger: Any, _method: str, event: Any) -> Any:
    event.pop("exc_info", None)
    return event
