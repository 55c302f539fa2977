"""In how many words servers say that they do not know a session, and what is none of them."""

from __future__ import annotations

import time

import pytest
from mcp_gateway_transport_http.client.responses.session_loss import is_session_unknown

UNKNOWN = [
    "Session not found",
    "No active session",
    "Invalid or missing session ID",
    "session expired",
    "unknown session",
    "no valid session ID provided",
    "Bad Request: No valid session ID provided",
    "Session terminated",
    "Mcp-Session-Id header is required",
    "Mcp-Session-Id header is invalid",
    "Bad Request: Mcp-Session-Id header is required",
    "Missing Mcp-Session-Id header",
    "Missing required header: Mcp-Session-Id",
    '{"detail":"session expired"}',
    '{"error":"No active session"}',
    '{"message":"Session ID not found"}',
    '{"jsonrpc":"2.0","id":null,"error":{"code":-32000,"message":"Session abc-XYZ not found"}}',
    '{"code":"SESSION_NOT_FOUND"}',
    '{"error":{"code":"SessionExpired","message":"x"}}',
    "<html><body><h1>Session not found</h1></body></html>",
    'event: message\ndata: {"jsonrpc":"2.0","error":{"code":-32001,"message":"Session not found"}}\n\n',
    "Session abc-XYZ does not exist",
    "The session doesn't exist",
    "Session with id 'abc-XYZ' was not found",
    "Session no longer valid",
    "session has expired",
    "Your session has been terminated",
    "Could not find session",
    "No session found for id",
    "invalid_session",
    "session_expired",
    "Not a valid session",
    "Session is invalid or expired",
    "Bad Request: Server not initialized",
    "no transport found for sessionId",
    "Invalid session",
    "invalid session id",
    "Invalid Mcp-Session-Id",
    "Session closed",
    "Session has timed out",
    "Session timed out",
    "Session was evicted",
    "Session ID is missing",
    "No session",
    "Expired session",
    "Session 3f2a9b1c-1 not found",
    "Unknown or expired session",
    '{"error": "Session not found or expired"}',
    "session does not exist or has expired",
    "Session not initialized",
    "Session ID required",
    "This request requires a session id",
    "Session ID must be provided",
    '{"error":"invalid_session_id"}',
    "Session unknown",
    "unrecognized session id",
    "Session not recognised",
    "unable to find session",
    "Session deleted",
    "Session has ended",
    "No MCP session",
    "no such session: abc-XYZ",
    "Session cannot be found",
    "Unexpected message, expect initialize request",
    "expect initialized request",
    "Expected an initialize request",
    "Client must initialize first",
    "client should reinitialize",
    "Received request before initialization was complete",
    'method "tools/call" is invalid during session initialization',
    "Client is not yet initialized",
]

OTHER = [
    "Too many sessions",
    "Session limit exceeded",
    '{"error":"rate limited"}',
    "Missing required argument session_id",
    "'session_id' is a required property",
    "invalid params: tool needs session",
    "Unauthorized",
    "login session expired",
    "browser session not found",
    "user session has expired",
    "Internal Server Error",
    '{"detail":[{"loc":["body","session_id"],"msg":"field required"}]}',
    "Session not authorized for this tool",
    "session quota reached; unknown tool",
    "active session: unknown tool foo",
    "failed to create session",
    "Session store is not available yet: invalid config",
    "sessions are not supported",
    "<html>session</html> <p>not found</p>",
    "Unknown tool: open_session",
    "no tool for session",
    "Service unavailable",
    "",
    "obsession not found",
    "file not found in session",
    "database not initialized",
    "Cannot access 'tools' before initialization",
    "you must initialize the project first",
    "expected an initial request",
]


@pytest.mark.parametrize("words", UNKNOWN)
@pytest.mark.parametrize("status", [400, 401, 422, 500])
def test_a_session_is_unknown_in_many_words(words, status):
    assert is_session_unknown(status, words.encode(), "abc-XYZ")


@pytest.mark.parametrize("words", OTHER)
def test_other_words_are_about_something_else(words):
    assert not is_session_unknown(400, words.encode(), "abc-XYZ")


@pytest.mark.parametrize("words", [b"", b"no", b"<html>Not Found</html>", b"\xff"])
@pytest.mark.parametrize("status", [404, 410])
def test_two_statuses_need_no_words(words, status):
    assert is_session_unknown(status, words, "abc-XYZ")


@pytest.mark.parametrize("piece", [b"<", b"session ", b"not ", b"\n", b"n'", b"nN", b"server not ", b'"'])
def test_reading_does_not_take_long_whatever_comes(piece):
    began = time.process_time()
    is_session_unknown(500, piece * 1_000_000, "abc-XYZ")
    assert time.process_time() - began < 1
