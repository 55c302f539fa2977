"""Steps that `init` and `import` share: trials with progress, and secrets."""

from __future__ import annotations

from pathlib import Path

from mcp_gateway.control.context import ControlContext
from mcp_gateway.control.terminal import show
from mcp_gateway.control.trials import Trial
from mcp_gateway_cli.clients.imports import ImportPlan
from mcp_gateway_cli.clients.trial import try_plan
from mcp_gateway_cli.commands.clients.prompts import confirm
from mcp_gateway_cli.commands.clients.report import plural
from mcp_gateway_cli.output.progress import Progress
from mcp_gateway_cli.secrets.keyring_moves import SOURCE, KeyringMove, MovedSecret, has_keyring, list_labels


def move_secrets(
    context: ControlContext, plan: ImportPlan, choice: str | None, *, asks: bool
) -> tuple[ImportPlan, tuple[MovedSecret, ...]]:
    """Take secrets for the keyring out of a plan; return both.

    With `asks` the person is asked, if there is no `choice` and a keyring answers.

    Raises:
        ConfigError: there is no keyring that answers.

    """
    labels = list_labels(plan)
    if choice is None and asks and labels and has_keyring(context.providers.variable_sources):
        question = f"move {plural(len(labels), 'secret')} ({', '.join(labels)}) into the system keyring?"
        choice = SOURCE if confirm(question, default=False) else None
    if choice != SOURCE:
        return plan, ()
    move = KeyringMove(context.providers.variable_sources)
    moved = move.move(plan)
    return moved, tuple(move.secrets.values())


def try_with_progress(context: ControlContext, plan: ImportPlan, path: Path, *, is_quiet: bool) -> dict[str, Trial]:
    """Try the servers of a plan, and print the outcomes."""
    count = len(plan.servers)
    tried: list[Trial] = []
    with Progress(f"trying {plural(count, 'server')}", tells_pipe=not is_quiet) as progress:

        def on_tried(trial: Trial) -> None:
            tried.append(trial)
            progress.update(f"tried {len(tried)} of {count} servers; last: {trial.server}")

        trials = try_plan(context, plan, path, on_tried)
    if not is_quiet:
        show("tried:", *(f"  {trials[server.name].line}" for server in plan.servers))
        show(f"{sum(trial.ok for trial in tried)} of {count} servers work")
    return trials
