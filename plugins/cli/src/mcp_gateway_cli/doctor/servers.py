"""Findings on servers: each is tried, and what fails is diagnosed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace

import anyio
import anyio.to_thread

from mcp_gateway.catalog.reservations import Reservations
from mcp_gateway.config.server_spec import ServerSpec
from mcp_gateway.control.check import Findings, check_list_length
from mcp_gateway.control.context import ControlContext
from mcp_gateway.control.trials import Trial, try_server
from mcp_gateway.discovery.concurrency import ConcurrencyLimit
from mcp_gateway.plugin import Bound, Diagnosis, ServerTimeout
from mcp_gateway_cli.doctor.finding import Finding, Severity, report_error, split_mend, warn
from mcp_gateway_cli.doctor.listings import describe_listing
from mcp_gateway_cli.doctor.refusals import describe_failure

_DIAGNOSIS_SECONDS = 8.0
"""How long the search for a reason may take; of the whole time, so much is kept for it."""


@dataclass(slots=True)
class ServerExamination:
    """The trials of all servers, until a time limit.

    `seconds` is the limit, `on_tried` is called with the name of each server that has been tried.
    """

    context: ControlContext
    seconds: float
    on_tried: Callable[[str], None] = lambda _: None
    trials: dict[str, Trial] = field(default_factory=dict)
    findings: dict[str, list[Finding]] = field(default_factory=dict)

    @property
    def trial_seconds(self) -> float:
        """How long the trials may take, without the search for reasons."""
        return self.seconds - min(_DIAGNOSIS_SECONDS, self.seconds / 3)

    async def run(self) -> list[Finding]:
        """Try all servers; return the findings, in the order of the file."""
        specs = self.context.servers.specs
        reservations = Reservations.of(specs, self.context.servers.disabled)
        deadline = anyio.current_time() + self.seconds
        async with anyio.create_task_group() as counting:
            pace = ConcurrencyLimit(counting)
            async with anyio.create_task_group() as tasks:
                for spec in specs:
                    tasks.start_soon(self._examine, spec, reservations, pace, deadline)
        return [finding for spec in specs for finding in self.findings[spec.name]] + self._check_length()

    async def _examine(
        self, spec: ServerSpec, reservations: Reservations, pace: ConcurrencyLimit, deadline: float
    ) -> None:
        trial, diagnoses = await self._try(spec, reservations, pace, deadline)
        self.trials[spec.name] = trial
        if not trial.ok and not diagnoses:
            diagnoses = await _diagnose(spec, max(deadline - anyio.current_time(), 1.0))
        elif trial.ok:
            diagnoses = [one for one in await _diagnose(spec, _DIAGNOSIS_SECONDS) if not one.is_error]
        self.findings[spec.name] = list(describe_trial(spec, trial, diagnoses))
        self.on_tried(spec.name)

    async def _try(
        self, spec: ServerSpec, reservations: Reservations, pace: ConcurrencyLimit, deadline: float
    ) -> tuple[Trial, list[Diagnosis]]:
        """Try a server, unless it is certain beforehand that it cannot start."""
        limit = deadline - self.seconds + self.trial_seconds
        with anyio.CancelScope(deadline=limit):
            if reason := await anyio.to_thread.run_sync(_find_obstacle, spec, abandon_on_cancel=True):
                failed = Trial(spec.name, ok=False, seconds=0.0, reason=reason, error_code="server_unavailable")
                return failed, await _diagnose(spec, _DIAGNOSIS_SECONDS)
            async with pace.slot():
                return await try_server(spec, reservations, self.context.position), []
        reason = f"it did not list what it has within the {self.trial_seconds:.3g} s that all servers have here"
        return Trial(spec.name, ok=False, seconds=self.trial_seconds, reason=reason, error_code=ServerTimeout.code), []

    def _check_length(self) -> list[Finding]:
        """Return a warning if more tools are listed than clients take."""
        found = Findings(trials=list(self.trials.values()))
        check_list_length(self.context, found)
        return [warn("list-long", "tools", *split_mend(line)) for line in found.warnings]


def describe_trial(spec: ServerSpec, trial: Trial, diagnoses: list[Diagnosis]) -> Iterator[Finding]:
    """Yield the findings on one server."""
    errors = [_describe_diagnosis(spec.name, one) for one in diagnoses if one.is_error]
    if not trial.ok:
        yield from errors if errors and trial.error_code in _OF_REACH else [describe_failure(spec, trial)]
    yield from (_describe_diagnosis(spec.name, one) for one in diagnoses if not one.is_error)
    if trial.ok:
        yield from describe_listing(trial)


_OF_REACH = frozenset({"server_unavailable", "timeout"})
"""The errors of servers that may not have been reached."""


def _describe_diagnosis(subject: str, diagnosis: Diagnosis) -> Finding:
    severity = Severity.ERROR if diagnosis.is_error else Severity.WARNING
    found = report_error(diagnosis.code, subject, diagnosis.message, diagnosis.mend)
    return replace(found, severity=severity)


async def diagnose_product(bound: Bound[object], seconds: float) -> list[Diagnosis]:
    """Let a plugin look for reasons; it may take some seconds."""
    if bound.diagnose is None:
        return []
    found: list[Diagnosis] = []
    with anyio.move_on_after(seconds):
        try:
            found += await bound.diagnose()
        except Exception as error:  # noqa: BLE001  # a border with foreign code
            reason = f"the plugin {bound.name!r} could not look for reasons: {type(error).__name__}"
            found.append(Diagnosis(code="diagnosis-failed", message=reason, is_error=False))
    return found


async def _diagnose(spec: ServerSpec, seconds: float) -> list[Diagnosis]:
    return await diagnose_product(spec.client_transport, min(seconds, _DIAGNOSIS_SECONDS))


def _find_obstacle(spec: ServerSpec) -> str:
    preflight = spec.client_transport.preflight
    return (preflight() if preflight is not None else None) or ""
