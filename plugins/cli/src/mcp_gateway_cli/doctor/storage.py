"""Findings on the storage and the rankers."""

from __future__ import annotations

import anyio.to_thread

from mcp_gateway.control.check import Findings, check_storage
from mcp_gateway.control.context import ControlContext
from mcp_gateway.plugin import ConfigError
from mcp_gateway_cli.doctor.finding import Finding, report_error, split_mend
from mcp_gateway_cli.doctor.servers import diagnose_product

_SECONDS = 10.0


async def find_storage_faults(context: ControlContext) -> list[Finding]:
    """Return why storage or rankers cannot be used."""
    storage = context.settings.storage
    try:
        await anyio.to_thread.run_sync(check_storage, context, Findings(), abandon_on_cancel=True)
    except ConfigError as error:
        subject = f"STORAGE_BACKEND={storage.name}"
        found = await diagnose_product(storage, _SECONDS)
        if errors := [one for one in found if one.is_error]:
            return [report_error(one.code, subject, one.message, one.mend) for one in errors]
        text = str(error).removeprefix("environment: ").removeprefix(f"{subject}: ")
        message, mend = split_mend(text)
        return [report_error("storage-fails", subject, message, mend or "correct its settings, or choose another")]
    return []
