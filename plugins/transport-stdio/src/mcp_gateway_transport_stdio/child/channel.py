"""The channel to a child process: lines, in and out."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from functools import partial

from mcp_gateway.plugin import ConnectionDropped, RequestNotSent, ResponseHandler, ServerUnavailable, read_own_id
from mcp_gateway_transport_stdio.child.envelope import Message, match_response, parse_message, split_batch
from mcp_gateway_transport_stdio.child.process import ChildProcess, open_child
from mcp_gateway_transport_stdio.child.stray_output import StrayOutput
from mcp_gateway_transport_stdio.child.supervised_process import ChildCommand, Supervisor, describe_status
from mcp_gateway_transport_stdio.child.write_queue import Unwritten, WriteQueue
from mcp_gateway_transport_stdio.framing import (
    ENDLESS,
    INVALID_REQUEST,
    LineSplitter,
    OversizedLine,
    encode_error,
)

log = logging.getLogger(__name__)

_UNNAMED_SECONDS = 1.0
"""How long an error without an id waits for the answer that may follow."""


class ChildChannel:
    """A `ServerChannel` to a child process.

    Each line is handed over when it is read, so that nothing overtakes anything. Of a response nothing is parsed but
    its id. Lines that are no messages count as stray output, and messages of more than `limit` bytes are not read.
    """

    def __init__(self, stray_output: StrayOutput, limit: int, stderr_lines: Sequence[str] = ()) -> None:
        """Create a channel without a child; see `attach`.

        `stderr_lines` are the last ones that the child has written for people.
        """
        self.lines = LineSplitter(self._on_line, self._on_long_line, limit, self._on_excess)
        self._stray_output, self._limit, self._stderr_lines = stray_output, limit, stderr_lines
        self._pending: dict[int, ResponseHandler] = {}
        self._unwritten = WriteQueue(limit)
        self._on_message: Callable[[bytes], None] = lambda _: None
        self._on_close: Callable[[], None] | None = None
        self._child: ChildProcess
        self._is_unfinished = self.has_answered = False
        self._foreign_id: int | None = None
        self._first_request = b""
        # Requests that were written and have no answer, abandoned ones too, and whether anything else was written since
        # the last answer: an error without an id may be about any of them.
        self._unanswered, self._has_written_others = 0, False
        # The id of an oversized response whose request has failed already.
        self._failed_id: bytes | None = None
        self._end: ServerUnavailable = ConnectionDropped("it closed the connection")

    def attach(self, child: ChildProcess) -> None:
        """Use this child."""
        self._child = child

    @property
    def exit_status(self) -> int | None:
        """How the child has exited by itself, once it is closed."""
        return self._child.status if hasattr(self, "_child") else None

    def start(self, on_message: Callable[[bytes], None], on_close: Callable[[], None]) -> None:
        """Begin to receive; see `ServerChannel`."""
        self._on_message, self._on_close = on_message, on_close
        if self._child.closed:
            asyncio.get_running_loop().call_soon(on_close)
        self._child.set_reading_paused(paused=False)

    @property
    def last_line(self) -> str:
        """The last line of standard error; see `SupportsLastLine`."""
        return self._stderr_lines[-1] if self._stderr_lines else ""

    def describe_unreadable(self, request_id: int | None) -> str:
        """Return what it wrote in place of messages; see `SupportsUnreadableOutput`."""
        return self._stray_output.describe_recent(request_id)

    # -- to the child

    def request(
        self,
        message: bytes,
        request_id: int,
        headers: Mapping[str, str],  # noqa: ARG002  # a pipe has none
        handler: ResponseHandler,
    ) -> Callable[[], None]:
        """Send a request; see `ServerChannel`."""
        self._first_request = self._first_request or message
        if self._child.is_congested:
            return self._put_request(message, request_id, handler)
        try:
            self._child.write(message)
        except BrokenPipeError:
            return _fail_soon(handler, "the process has just ended")
        self._on_written(request_id, handler)
        return partial(self._forget, request_id)

    def _on_written(self, request_id: int, handler: ResponseHandler) -> None:
        self._pending[request_id] = handler
        self._unanswered += 1

    def _put_request(self, message: bytes, request_id: int, handler: ResponseHandler) -> Callable[[], None]:
        if not self._unwritten.has_room(message):
            return _fail_soon(handler, "it does not read its standard input, and too many requests wait for that")
        on_written = partial(self._on_written, request_id, handler)
        self._unwritten.put(request_id, Unwritten(message, on_written, handler.on_failure))
        return partial(self._forget, request_id)

    def _forget(self, request_id: int) -> None:
        self._pending.pop(request_id, None)
        self._unwritten.remove(request_id)

    async def send(self, message: bytes, headers: Mapping[str, str]) -> None:  # noqa: ARG002
        """Send a notification or a response; see `ServerChannel`."""
        self._has_written_others = True
        if not self._child.is_congested:
            try:
                self._child.write(message)
            except BrokenPipeError:
                raise ServerUnavailable("it closed the connection") from None
            return
        await self._unwritten.wait_written(message)

    def set_reading_paused(self, *, paused: bool) -> None:
        """Stop reading or go on; see `ServerChannel`."""
        self._child.set_reading_paused(paused=paused)

    def on_writable(self) -> None:
        """Write what waits."""
        self._unwritten.flush(self._child)

    # -- from the child

    def _on_line(self, line: bytes) -> None:
        # Only a whole line is known to be a message by its beginning.
        request_id = None if self._is_unfinished else match_response(line)
        handler = None if request_id is None else self._pending.pop(request_id, None)
        if handler is not None:
            self._hand_over(handler, line)
        elif line:
            self._on_other_line(line)

    def _on_other_line(self, line: bytes) -> None:
        batch = split_batch(line)
        for part in batch:
            self._on_line(part)
        if not batch:
            self._on_odd_line(line)

    def _on_odd_line(self, line: bytes) -> None:
        message = parse_message(line)
        if message is None:
            self._stray_output.on_line(line, self._sole_request_id)
        if not self.has_answered:
            self._check_program(message)
        if message is None or self._child.closed:
            return
        handler = None if message.answered_id is None else self._pending.pop(message.answered_id, None)
        if handler is not None:
            self._hand_over(handler, message.content)
        elif message.is_unnamed_error and (sole := self._sole_request_id) and not self._has_written_others:
            asyncio.get_running_loop().call_later(_UNNAMED_SECONDS, self._answer_unnamed, sole, message.content)
        else:
            self._on_message(message.content)

    @property
    def _sole_request_id(self) -> int | None:
        """The id of the only request without an answer, abandoned ones included."""
        return next(iter(self._pending)) if self._unanswered == len(self._pending) == 1 else None

    def _answer_unnamed(self, request_id: int, error: bytes) -> None:
        """Take an error without an id for the answer, unless that came."""
        if (handler := self._pending.pop(request_id, None)) is None:
            self._on_message(error)
        else:
            self._hand_over(handler, error)

    def _hand_over(self, handler: ResponseHandler, response: bytes) -> None:
        self.has_answered, self._has_written_others = True, False
        self._stray_output.is_answered = True
        self._unanswered -= 1
        handler.on_response(response)

    def _check_program(self, message: Message | None) -> None:
        """End the session if the program cannot be an MCP server."""
        if message is not None and message.content == self._first_request:
            reason = "it sends back what it is sent, so it is no MCP server"
        elif self._stray_output.is_framed:
            reason = "it speaks another protocol than MCP"
        elif self._stray_output.is_indented:
            reason = "it writes its messages over several lines"
        elif message is not None and self._repeats_foreign_id(message.answered_id):
            reason = f"it answers every request with the id {message.answered_id}, in place of the request's own"
        else:
            return
        self._end = ServerUnavailable(reason, permanent=True)
        self._child.end()

    def _repeats_foreign_id(self, answered_id: int | None) -> bool:
        """Whether an id that no request had comes for the second time."""
        if answered_id is None or answered_id in self._pending:
            return False
        repeats = self._foreign_id == answered_id
        self._foreign_id = answered_id
        return repeats

    def _on_long_line(self, line: OversizedLine) -> None:
        """Handle an oversized message.

        It answers an oversized server request with an error, and an oversized response becomes an error to
        its caller. The id is taken from either end of the line; without one the line counts as stray output.
        """
        message = (
            f"a message of {line.size} bytes, more than the {self._limit} that GATEWAY_MAX_RESULT_BYTES lets through"
        )
        facts = {"program": self._stray_output.program, "size": line.size, "limit": self._limit}
        log.error("message too long", extra=facts)
        failed_id, self._failed_id = self._failed_id, None
        if line.id is None:
            self._stray_output.on_line(line.head)
        elif line.is_request:
            with suppress(BrokenPipeError):
                self._child.write(encode_error(line.id, INVALID_REQUEST, message))
        elif line.id != failed_id:
            self._fail(line.id, f"it answered with {message}")

    def _on_excess(self, line: OversizedLine) -> None:
        """Answer in place of a message that is too long.

        The session ends if the message seems to have no end.
        """
        message = f"a message of more than the {self._limit} bytes that GATEWAY_MAX_RESULT_BYTES lets through"
        if line.id is not None and not line.is_request and line.id != self._failed_id:
            self._failed_id = line.id
            self._fail(line.id, f"it answered with {message}")
        if line.size > ENDLESS * self._limit:
            self._end = ServerUnavailable(f"it sent {message}, and no end of it; the process is ended")
            self._child.end()

    def _fail(self, written_id: bytes, reason: str) -> None:
        request_id = read_own_id(written_id)
        handler = None if request_id is None else self._pending.pop(request_id, None)
        if handler is not None:
            self._unanswered -= 1
            # Not a lost connection: the session goes on, and another try would be as long.
            handler.on_failure(ServerUnavailable(reason))

    def on_eof(self) -> None:
        """Take the last line even without its end."""
        self._is_unfinished = True
        self.lines.flush()

    def on_abandonment(self) -> None:
        """Take what stands in an unfinished line for stray output."""
        self._is_unfinished = self.has_answered = True
        self.lines.flush()

    def on_end(self) -> None:
        """Fail what is under way: nothing more will come."""
        self._unwritten.clear()
        pending, self._pending = list(self._pending.values()), {}
        for handler in pending:
            handler.on_failure(self._end)
        if self._on_close is not None:
            self._on_close()


def _fail_soon(handler: ResponseHandler, reason: str) -> Callable[[], None]:
    return asyncio.get_running_loop().call_soon(handler.on_failure, RequestNotSent(reason)).cancel


@asynccontextmanager
async def open_child_channel(
    supervisor: Supervisor,
    program: ChildCommand,
    stray_output: StrayOutput,
    limit: int,
    stderr_lines: Sequence[str] = (),
) -> AsyncIterator[ChildChannel]:
    """Start a child; yield the channel to it."""
    channel = ChildChannel(stray_output, limit, stderr_lines)
    try:
        async with open_child(supervisor, program, channel) as child:
            channel.attach(child)
            try:
                yield channel
            except BaseException:
                channel.on_abandonment()
                raise
    except BaseException as error:
        if (status := channel.exit_status) is not None:
            error.add_note(describe_status(status))
        raise
