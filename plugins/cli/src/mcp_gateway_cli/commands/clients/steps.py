"""Steps that `init` and `import` share: trials with progress, and secrets."""

from __future__ import annotations

from pathlib import Path

from mcp_gateway.control.context import ControlContext
from mcp_gateway.control.terminal import show
from mcp_gateway.control.trials import Trial
from mcp_gateway_cli.clients.imports import ImportPlan
from mcp_gateway_cli.clients.trial import try_plan
from mcp_gateway_cli.output.progress import Progress


def try_with_progress(context: ControlContext, plan: ImportPlan, path: Path, *, is_quiet: bool) -> dict[str, Trial]:
    """Try the servers of a plan, and print the outcomes."""
    count = len(plan.servers)
    tried: list[Trial] = []
    with Progress(f"trying {count} servers") as progress:

        def on_tried(trial: Trial) -> None:
            tried.append(trial)
            progress.update(f"tried {len(tried)} of {count} servers; last: {trial.server}")

        trials = try_plan(context, plan, path, on_tried)
    if not is_quiet:
        show("tried:", *(f"  {trials[server.name].line}" for server in plan.servers))
        show(f"{sum(trial.ok for trial in tried)} of {count} servers usable")
    return trials
