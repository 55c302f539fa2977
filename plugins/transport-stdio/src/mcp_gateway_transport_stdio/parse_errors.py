"""Parse errors: responses to lines that are not messages.

The SDK drops such lines silently.
"""

from __future__ import annotations

import logging

from mcp_types import INVALID_REQUEST, PARSE_ERROR, ErrorData, JSONRPCError
from pydantic import ValidationError

from mcp_gateway_transport_stdio.framing import find_id

log = logging.getLogger(__name__)


def parse_error_response(fault: Exception) -> JSONRPCError | None:
    """Return the error response to a line without a valid message.

    None if no response is expected.
    """
    if not isinstance(fault, ValidationError):
        return None
    found = fault.errors(include_url=False)[0]
    if found["type"] == "json_invalid":
        return _json_error(str(found["input"]), str(found.get("ctx", {}).get("error", "it cannot be read")))
    return _message_error(_whole_input(fault))


def _json_error(line: str, why: str) -> JSONRPCError | None:
    if not line.strip():
        return None
    log.warning("invalid JSON from client", extra={"reason": why})
    message = f"a message must be JSON in one line, and its text Unicode: {why}"
    return JSONRPCError(jsonrpc="2.0", id=find_id(line.encode("utf-8", "replace")), error=_error(PARSE_ERROR, message))


def _message_error(parsed: object) -> JSONRPCError | None:
    log.warning("invalid message from client", extra={"reason": "it is no message of JSON-RPC 2.0"})
    message = parsed if isinstance(parsed, dict) else {}
    if "method" not in message and ("result" in message or "error" in message):
        return None
    identity = message.get("id")
    # type() instead of isinstance(), because True is an int in Python but not an id.
    known = identity if isinstance(identity, str) or type(identity) is int else None
    what = "a message must be one request, notification or response of JSON-RPC 2.0; MCP has no batches"
    return JSONRPCError(jsonrpc="2.0", id=known, error=_error(INVALID_REQUEST, what))


def _whole_input(fault: ValidationError) -> object:
    """Return the whole input of a validation error.

    Pydantic has it only in errors about missing fields.
    """
    return next((each["input"] for each in fault.errors() if each["type"] in ("missing", "model_type")), None)


def _error(code: int, message: str) -> ErrorData:
    return ErrorData(code=code, message=message)
