"""How the plain server talks back, in the manner of either era: questions, messages, announcements and tasks."""

from __future__ import annotations

import itertools
import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

Json = dict[str, Any]
SendFn = Callable[[Json], None]

RESERVED = "io.modelcontextprotocol/"
TASKS = f"{RESERVED}tasks"
LEVELS = ("debug", "info", "notice", "warning", "error", "critical", "alert", "emergency")
NEEDED = {"elicitation/create": "elicitation", "sampling/createMessage": "sampling", "roots/list": "roots"}
LOGIN = {"mode": "url", "message": "Log in", "url": "https://login.example/"}
WAIT_SECONDS = 60.0


class Error(Exception):
    """A JSON-RPC error."""


def nobody() -> bool:
    return False


@dataclass
class Channel:
    """The way back to a client while one request of its is under way."""

    send: SendFn
    gone: Callable[[], bool] = nobody


@dataclass
class Session:
    """What is known of one client. `beside` is the way to it when no request of its is under way."""

    client_capabilities: Json = field(default_factory=dict)
    level: str | None = None
    beside: SendFn | None = None
    watched: set[str] = field(default_factory=set)
    listens: dict[Any, tuple[Json, SendFn]] = field(default_factory=dict)
    cancelled: set[Any] = field(default_factory=set)
    answers: dict[Any, Json] = field(default_factory=dict)
    _ids: Any = field(default_factory=lambda: itertools.count(1))

    def put(self, method: str, params: Json, send: SendFn) -> str:
        """Send the client a request; do not wait."""
        id_ = f"question-{next(self._ids)}"
        send({"jsonrpc": "2.0", "id": id_, "method": method, "params": params})
        return id_

    def answer(self, id_: str, stopped: Callable[[], bool] = nobody) -> Json:
        """Wait for the client's response."""
        end = time.monotonic() + WAIT_SECONDS
        while id_ not in self.answers and time.monotonic() < end and not stopped():
            time.sleep(0.01)
        response = self.answers.pop(id_, {"error": "none"})
        return {key: value for key, value in response.items() if key in ("result", "error")}


@dataclass
class Call:
    """A request that a tool, a prompt or a resource answers."""

    modern: bool
    params: Json
    session: Session
    channel: Channel
    id: Any
    log: Callable[[str, Any], None]

    @property
    def arguments(self) -> Json:
        return self.params.get("arguments") or {}

    @property
    def meta(self) -> Json:
        return self.params.get("_meta") or {}

    @property
    def client_capabilities(self) -> Json:
        """What the client can do, as far as the server has heard."""
        return self.meta.get(f"{RESERVED}clientCapabilities", {}) if self.modern else self.session.client_capabilities

    def stopped(self) -> bool:
        """Whether the client has cancelled it."""
        return self.id in self.session.cancelled or self.channel.gone()

    def notify(self, method: str, params: Json) -> None:
        self.channel.send({"jsonrpc": "2.0", "method": method, "params": params})


def ask(call: Call, rounds: list[list[tuple[str, Json]]], *, rude: bool = False) -> Json:
    """Ask the client questions, several at once, round by round; the answers are the result."""
    lacking = [
        NEEDED[method] for asked in rounds for method, _ in asked if NEEDED[method] not in call.client_capabilities
    ]
    if lacking and not rude:
        required = {"requiredCapabilities": {name: {} for name in lacking}}
        raise Error({"code": -32021 if call.modern else -32600, "message": f"I need {lacking}", "data": required})
    if call.modern:
        return _ask_by_result(call, rounds)
    answers = []
    for asked in rounds:
        put = [call.session.put(method, params, call.channel.send) for method, params in asked]
        answers += [call.session.answer(id_, call.stopped) for id_ in put]
    if call.stopped():
        call.log("stopped", "ask")
    return {"content": [], "structuredContent": {"answers": answers}}


def _ask_by_result(call: Call, rounds: list[list[tuple[str, Json]]]) -> Json:
    """Ask without remembering anything: all that is needed is in the state, which only this program can make."""
    answers: list[Any] = []
    if (state := call.params.get("requestState")) is not None:
        seal, _, text = str(state).partition(":")
        if seal != _seal(text):
            raise Error({"code": -32602, "message": "The plain server did not make this requestState"})
        past = json.loads(text)
        answers = past + [{"result": given} for _, given in sorted((call.params.get("inputResponses") or {}).items())]
    number = next((n for n in range(len(rounds)) if len(answers) < sum(map(len, rounds[: n + 1]))), None)
    if number is None:
        return {"content": [], "structuredContent": {"answers": answers}}
    questions = {f"q{n}": {"method": method, "params": params} for n, (method, params) in enumerate(rounds[number])}
    text = json.dumps(answers)
    return {"resultType": "input_required", "inputRequests": questions, "requestState": f"{_seal(text)}:{text}"}


def _seal(text: str) -> str:
    return sha256(f"plain {text}".encode()).hexdigest()


def visit(call: Call, visited: set[str]) -> Json:
    """Want the user to visit a URL first, and to call again."""
    done = {"content": [{"type": "text", "text": "visited"}]}
    if not call.modern:
        name = str(call.arguments.get("id"))
        if name in visited:
            return done
        visited.add(name)
        data = {"elicitations": [{**LOGIN, "elicitationId": name}]}
        raise Error({"code": -32042, "message": "A visit is needed", "data": data})
    given = call.params.get("inputResponses")
    if given is None:
        return {
            "resultType": "input_required",
            "inputRequests": {"login": {"method": "elicitation/create", "params": LOGIN}},
        }
    return done if given["login"]["action"] == "accept" else {**done, "isError": True}


def tell(call: Call, levels: list[str]) -> Json:
    """Send messages of these severities, as far as the client wants them."""
    least = call.meta.get(f"{RESERVED}logLevel") if call.modern else call.session.level or LEVELS[0]
    for level in levels:
        if least is not None and LEVELS.index(level) >= LEVELS.index(least):
            data = {"said": level, "by": call.arguments.get("by"), "null": None, "big": 2**70}
            call.notify("notifications/message", {"level": level, "logger": "plain", "data": data, "vendor": 1.0})
    return {"content": []}


def slow(call: Call) -> Json:
    """Take some time, step by step, reporting each."""
    token, steps = call.meta.get("progressToken"), call.arguments.get("steps", 1)
    for step in range(steps):
        end = time.monotonic() + call.arguments.get("seconds", 0.1)
        while time.monotonic() < end:
            if call.stopped():
                call.log("stopped", call.arguments.get("name", call.id))
                return {"content": []}
            time.sleep(0.01)
        if token is not None:
            reported = {"progressToken": token, "progress": step + 1, "total": steps}
            call.notify("notifications/progress", {**reported, **call.arguments.get("extra", {})})
    return {"content": [{"type": "text", "text": "slow done"}]}


def listen(call: Call) -> Json:
    """Announce changes to a modern client until it has heard enough."""
    wanted = call.params["notifications"]
    meta = {"_meta": {f"{RESERVED}subscriptionId": call.id}, "notifications": wanted}
    call.session.listens[call.id] = (wanted, call.channel.send)
    call.notify("notifications/subscriptions/acknowledged", meta)
    while not call.stopped():
        time.sleep(0.02)
    del call.session.listens[call.id]
    call.log("unlistened", wanted)
    return {}


def announce(sessions: list[Session], method: str, params: Json, wants: Callable[[Session, Json | None], bool]) -> bool:
    """Announce something to those who want to know; return whether somebody has heard."""
    heard = False
    for session in sessions:
        if session.beside is not None and wants(session, None):
            session.beside({"jsonrpc": "2.0", "method": method, "params": params})
            heard = True
        for id_, (wanted, send) in list(session.listens.items()):
            if wants(session, wanted):
                meta = {"_meta": {f"{RESERVED}subscriptionId": id_}}
                send({"jsonrpc": "2.0", "method": method, "params": {**params, **meta}})
                heard = True
    return heard


JOB = {"content": [{"type": "text", "text": "job done"}]}


def job(call: Call, tasks: dict[str, Json], place: str) -> Json:
    """Do something at once, or make a task of it if the client knows how to ask about tasks."""
    task: Json = {"taskId": f"{place}-{len(tasks) + 1}", "status": "working", "vendor": [None, 2**70]}
    if call.modern and TASKS in call.client_capabilities.get("extensions", {}):
        tasks[task["taskId"]] = task
        return {"resultType": "task", **task, "ttlMs": 60000, "pollIntervalMs": 10}
    if not call.modern and isinstance(call.params.get("task"), dict):
        tasks[task["taskId"]] = task
        return {"task": {**task, "ttl": call.params["task"].get("ttl")}}
    return JOB


def about_tasks(method: str, params: Json, tasks: dict[str, Json], *, modern: bool) -> Json:
    """Answer the requests about tasks that the era has."""
    if method == "tasks/list" and not modern:
        return {"tasks": list(tasks.values())}
    task = tasks.get(str(params.get("taskId")))
    if task is None:
        raise Error({"code": -32602, "message": "No such task"})
    match method:
        case "tasks/get":
            return {**task, "status": "completed", **({"result": JOB} if modern else {})}
        case "tasks/result" if not modern:
            return {**JOB, "_meta": {f"{RESERVED}related-task": {"taskId": task["taskId"]}}}
        case "tasks/update" if modern:
            return {"updated": params.get("inputResponses")}
        case "tasks/cancel":
            task["status"] = "cancelled"
            return {} if modern else task
    raise Error({"code": -32601, "message": "Method not found"})
