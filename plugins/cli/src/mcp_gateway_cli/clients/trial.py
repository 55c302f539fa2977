"""Live trials of an import, and the tokens that it saves."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from mcp_gateway.config.forms.entry_file import read_entries
from mcp_gateway.config.forms.variables import InputAnswers, Variables
from mcp_gateway.config.server_file import ServerFile, resolve_entries
from mcp_gateway.control.context import ControlContext
from mcp_gateway.control.trials import OnTriedFn, Trial, count_characters, try_servers
from mcp_gateway.plugin_host.variable_sources import VariableReader
from mcp_gateway.protocol.implementation import NAME
from mcp_gateway.server.builtin_tools import builtin_tools
from mcp_gateway.server.server_info import instructions
from mcp_gateway_cli.calls.tokens import CHARACTERS_PER_TOKEN
from mcp_gateway_cli.clients.imports import ImportedServer, ImportPlan, LeftOut
from mcp_gateway_cli.clients.translation import Entry

_LOGIN = " needs a login: "


@dataclass(frozen=True, slots=True)
class Savings:
    """The tokens of tool definitions, without the gateway and with it."""

    tools: int
    before: int
    after: int

    @property
    def saved(self) -> int:
        """The tokens saved in every conversation, at least 0."""
        return max(self.before - self.after, 0)


def resolve_servers(context: ControlContext, entries: Sequence[Entry], path: Path) -> ServerFile:
    """Return what the gateway would make of these entries in its file.

    Raises:
        ConfigError: the settings of the gateway are wrong.

    """
    file = read_entries(path, {"servers": list(entries)})
    reader = VariableReader(context.providers.variable_sources)
    variables = Variables(context.environ, path.parent, {}, InputAnswers(), reader)
    return resolve_entries(file, path, context.environment, variables, context.providers)


def try_plan(context: ControlContext, plan: ImportPlan, path: Path, on_tried: OnTriedFn) -> dict[str, Trial]:
    """Try every server of a plan; return the trials by name."""
    file = resolve_servers(context, [server.entry for server in plan.servers], path)
    trials = {server.name: Trial(server.name, ok=False, seconds=0.0, reason=server.reason) for server in file.disabled}
    for trial in trials.values():
        on_tried(trial)
    return trials | {trial.server: trial for trial in try_servers(context, file, on_tried)}


def keep_usable(plan: ImportPlan, trials: Mapping[str, Trial]) -> ImportPlan:
    """Return a plan without the servers whose trial failed."""
    failed = [server for server in plan.servers if server.name in trials and not trials[server.name].ok]
    reasons = tuple(
        LeftOut(origin, _shorten(trials[server.name], server)) for server in failed for origin in server.origins
    )
    usable = tuple(server for server in plan.servers if server not in failed)
    return replace(plan, servers=usable, left_out=(*plan.left_out, *reasons))


def _shorten(trial: Trial, server: ImportedServer) -> str:
    if _LOGIN in trial.reason:  # that of the program is the program's own
        return f"it wants a login of the gateway's own: import it with --no-try, then type {NAME} login {server.name}"
    return shorten_reason(trial.reason, server.name)


def shorten_reason(reason: str, name: str) -> str:
    """Return why a server does not work, without its name."""
    outcome = reason.removeprefix(f"server {name!r}")
    for beginning in (" is not available: ", ": "):
        if outcome != reason and outcome.startswith(beginning):
            return outcome.removeprefix(beginning)
    return reason if outcome == reason else f"it{outcome}"


def estimate_savings(file: ServerFile, trials: Iterable[Trial]) -> Savings:
    """Estimate what the definitions cost in every conversation.

    The gateway's own are its tools and its instructions.
    """
    usable = [trial for trial in trials if trial.ok]
    about = {trial.server: trial.says for trial in usable}
    own_cost = sum(map(count_characters, builtin_tools(file.specs))) + len(instructions(file.specs, about))
    return Savings(
        sum(trial.tools for trial in usable),
        _to_tokens(sum(trial.characters for trial in usable)),
        _to_tokens(own_cost),
    )


def _to_tokens(characters: int) -> int:
    """Estimate tokens, to the hundred: the rest would be guessed."""
    return round(characters / CHARACTERS_PER_TOKEN / 100) * 100
