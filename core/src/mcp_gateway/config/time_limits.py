"""Time limits of servers, and the settings that they come from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import BaseModel, Field

from mcp_gateway.plugin import Options

MAX_SECONDS = 10**9
"""The upper bound of durations in a configuration."""

Seconds = Annotated[float, Field(gt=0, le=MAX_SECONDS, allow_inf_nan=False)]
Kind = Literal["start_timeout", "list_timeout", "call_timeout"]

_COMMON, _TOTAL = "MCP_GATEWAY_CONNECTION_TIMEOUT", "MCP_GATEWAY_MAX_CALL_TIME"
_VARIABLES: dict[Kind, str] = {
    "start_timeout": "GATEWAY_START_TIMEOUT",
    "list_timeout": "GATEWAY_LIST_TIMEOUT",
    "call_timeout": "GATEWAY_CALL_TIMEOUT",
}


class TimeSettings(Options):
    """The environment variables with the time limits of all servers."""

    start_timeout: Seconds = Field(
        180.0,
        alias=_VARIABLES["start_timeout"],
        description="Seconds that a server may take to start, downloads of `npx`, `uvx` and `docker` included",
    )
    list_timeout: Seconds = Field(
        60.0,
        alias=_VARIABLES["list_timeout"],
        description="Seconds that a server may take for each page of a list of what it has",
    )
    call_timeout: Seconds = Field(
        600.0,
        alias=_VARIABLES["call_timeout"],
        description="Seconds that a call may last without a sign of life; its progress and log messages are signs",
    )
    timeout: Seconds | None = Field(
        None, alias=_COMMON, description="If set, the limit of each of these three that is not set itself"
    )
    max_call_time: Seconds = Field(
        3600.0,
        alias=_TOTAL,
        description="Seconds until a call ends, whatever progress it makes; what a user takes to answer does not count",
    )


class TimeKeys(BaseModel):
    """The keys of a server entry with its time limits."""

    timeout: Seconds | None = Field(
        None, description="Seconds to wait for this server: each of the next three that is not set itself"
    )
    start_timeout: Seconds | None = Field(None, description="Seconds that this server may take to start")
    list_timeout: Seconds | None = Field(None, description="Seconds that this server may take for each page of a list")
    call_timeout: Seconds | None = Field(
        None, description="Seconds that a call of this server may last without a sign of life"
    )
    max_call_time: Seconds | None = Field(
        None, description="Seconds until a call of this server ends, whatever progress it makes"
    )


@dataclass(frozen=True, slots=True)
class TimeLimit:
    """A limit in seconds.

    `setting` is where it was set; `key` and `variable` are the settings that raise it.
    """

    seconds: float
    setting: str
    key: str
    variable: str

    def __str__(self) -> str:
        """Return the limit with its setting, as an error names it."""
        return f"{self.seconds:g} s ({self.setting})"

    @property
    def hint(self) -> str:
        """What to do if a server needs longer."""
        key = _its(self.key)
        if self.setting == key:
            return "raise that if it needs longer"
        if self.setting == _COMMON:
            return f"set {key} or {self.variable} if it needs longer"
        # The entry's own `timeout` wins over the variable.
        return f"raise that, or set {key}, if it needs longer"


@dataclass(frozen=True, slots=True)
class TimeLimits:
    """The time limits of a server's start, lists and calls.

    A call may last `call` without a sign of life, and `max_call_time` seconds in all.
    """

    start: TimeLimit
    list: TimeLimit
    call: TimeLimit
    max_call_time: float


def settle_time_limits(entry: TimeKeys, environment: TimeSettings) -> TimeLimits:
    """Return a server's time limits: its own, or those of all servers."""
    call = _bound_call(_settle("call_timeout", entry, environment), entry, environment)
    return TimeLimits(
        _settle("start_timeout", entry, environment),
        _settle("list_timeout", entry, environment),
        call,
        entry.max_call_time or max(environment.max_call_time, call.seconds),
    )


def _settle(kind: Kind, entry: TimeKeys, environment: TimeSettings) -> TimeLimit:
    variable = _VARIABLES[kind]
    common = None if kind in environment.model_fields_set else environment.timeout
    choices: tuple[tuple[float | None, str], ...] = (
        (getattr(entry, kind), _its(kind)),
        (entry.timeout, _its("timeout")),
        (common, _COMMON),
        (getattr(environment, kind), variable),
    )
    seconds, setting = next((seconds, setting) for seconds, setting in choices if seconds is not None)
    return TimeLimit(seconds, setting, kind, variable)


def _bound_call(call: TimeLimit, entry: TimeKeys, environment: TimeSettings) -> TimeLimit:
    """Bound a call's silence by the time that it has in all.

    Only if that is set where the silence is, or for the one server: the default must not bound it.
    """
    total, setting = entry.max_call_time, _its("max_call_time")
    is_of_all = call.setting not in (_its(call.key), _its("timeout"))
    if total is None and is_of_all and "max_call_time" in environment.model_fields_set:
        total, setting = environment.max_call_time, _TOTAL
    if total is None or total >= call.seconds:
        return call
    return TimeLimit(total, setting, "max_call_time", _TOTAL)


def _its(key: str) -> str:
    return f'its "{key}"'
