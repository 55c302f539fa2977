"""A language model that follows a script, behind the chat API that all agent frameworks can use."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Json = dict[str, Any]
END = "The script is at its end."
NOTHING: Json = {"string": "", "integer": 1, "number": 1, "boolean": False, "object": {}, "array": []}
"""What a model may give, by type, where it has nothing to say."""


@dataclass(frozen=True)
class Step:
    """A tool that the model calls."""

    tool: str
    arguments: Json


@dataclass
class ScriptedModel:
    """Calls one tool after the other, and notes its tools and their results.

    `gives_all`: it gives every argument, optional ones too. `results` are as the framework words them.
    """

    script: Sequence[Step]
    gives_all: bool = False
    tools: dict[str, Json] = field(default_factory=dict)
    results: list[str] = field(default_factory=list)
    _steps_taken: int = 0

    def answer(self, request: Json) -> Json:
        """Return the message that follows a conversation."""
        self.tools |= {each["function"]["name"]: each["function"] for each in request.get("tools") or []}
        results = [text for message in request["messages"] if (text := result_in(message)) is not None]
        if results and len(self.results) < self._steps_taken:
            self.results.append(results[-1])
        if self._steps_taken < len(self.script):
            step = self.script[self._steps_taken]
            self._steps_taken += 1
            return self._call(step.tool, {**self._defaults(step), **step.arguments})
        if "final_answer" in self.tools:  # smolagents ends by a tool
            return self._call("final_answer", {"answer": END})
        return {"role": "assistant", "content": END}

    def _defaults(self, step: Step) -> Json:
        if not self.gives_all or step.tool not in self.tools:
            return {}
        properties: Json = self.tools[step.tool]["parameters"]["properties"]
        return {name: schema.get("default", NOTHING[schema["type"]]) for name, schema in properties.items()}

    def _call(self, tool: str, arguments: Json) -> Json:
        function = {"name": tool, "arguments": json.dumps(arguments)}
        call = {"id": f"call_{self._steps_taken}_{tool}"[:40], "type": "function", "function": function}
        return {"role": "assistant", "content": None, "tool_calls": [call]}


def result_in(message: Json) -> str | None:
    """Return the result of a tool that a message tells, if it does."""
    text = text_of(message.get("content"))
    # smolagents tells it as the user's words.
    return text if message["role"] == "tool" or text.startswith("Observation:") else None


def text_of(content: object) -> str:
    """Return the text of a message's content."""
    if isinstance(content, list):
        return "".join(str(part.get("text", part)) if isinstance(part, dict) else str(part) for part in content)
    return str(content)


def completion(message: Json, *, is_stream: bool) -> tuple[str, str]:
    """Return the media type and the body of an answer with a message."""
    calls = message.get("tool_calls", [])
    body: Json = {"id": "chat-1", "created": 1, "model": "scripted", "usage": _USAGE}
    choice: Json = {"index": 0, "finish_reason": "tool_calls" if calls else "stop"}
    if not is_stream:
        whole = {**body, "object": "chat.completion", "choices": [{**choice, "message": message}]}
        return "application/json", json.dumps(whole)
    delta = {**message, "tool_calls": [{**call, "index": 0} for call in calls]}
    chunk = {**body, "object": "chat.completion.chunk", "choices": [{**choice, "delta": delta}]}
    return "text/event-stream", f"data: {json.dumps(chunk)}\n\ndata: [DONE]\n\n"


class _Handler(BaseHTTPRequestHandler):
    """Answers requests to a model."""

    protocol_version = "HTTP/1.1"
    model: ScriptedModel

    def log_message(self, *_: object) -> None:
        """Log nothing: what matters is in the model."""

    def do_POST(self) -> None:
        request = json.loads(self.rfile.read(int(self.headers["content-length"])))
        kind, text = completion(self.model.answer(request), is_stream=bool(request.get("stream")))
        data = text.encode()
        self.send_response(200)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


@contextmanager
def serve_model(model: ScriptedModel) -> Iterator[str]:
    """Serve a model; yield the base URL."""
    handler = type("Handler", (_Handler,), {"model": model})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/v1"
        finally:
            server.shutdown()
            thread.join()


_USAGE = {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}
