"""An MCP server of nothing but the standard library, so that no SDK can lose a field on the way out.

plain.py stdio|http [--era handshake|modern] [--port N] [--log FILE] [--start-delay SECONDS] [--sessions] [--tool NAME]
         [--place NAME] [--restless] [--full] [--ask-first]

With --full it has all that the protocol has, in both eras; with --ask-first it asks something beside its answers.
To FILE it writes what the tests want to know: its start, each request, each notification.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import threading
import time
from pathlib import Path
from typing import Any

from plain_offers import (
    BESIDES,
    FULL_INFO,
    FULL_TOOLS,
    INFO,
    ODD_MESSAGES,
    ODD_PROMPT,
    ODD_RESULT,
    ODD_TOOL,
    ROOTS,
    SIMPLE,
    odd_contents,
    odd_resource,
    odd_template,
)
from plain_talk import (
    RESERVED,
    TASKS,
    Call,
    Channel,
    Error,
    Json,
    Session,
    about_tasks,
    announce,
    ask,
    job,
    listen,
    slow,
    tell,
    visit,
)
from plain_wire import serve_http, serve_stdio

MODERN = "2026-07-28"
TOOLS = [
    ODD_TOOL,
    {"name": "echo", "description": "Returns its arguments", "inputSchema": SIMPLE},
    {"name": "whoami", "description": "Returns the headers of the request and the process id", "inputSchema": SIMPLE},
    {"name": "slow", "description": "Waits, reporting progress", "inputSchema": SIMPLE},
    {"name": "crash", "description": "Ends the process", "inputSchema": SIMPLE},
    {"name": "fail", "description": "Answers with an error of its own", "inputSchema": SIMPLE},
    {"name": "grow", "description": "Adds a tool and announces it", "inputSchema": SIMPLE},
    {"name": "environment", "description": "Returns the names of its environment variables", "inputSchema": SIMPLE},
]


class Server:
    """Answers requests."""

    def __init__(self, arguments: argparse.Namespace) -> None:
        self.modern = arguments.era == "modern"
        self.log_path = arguments.log
        self.place = arguments.place
        self.restless = arguments.restless
        self.full = arguments.full
        self.ask_first = arguments.ask_first
        self.listens = self.full or arguments.transport == "stdio"
        self.more = arguments.tool
        named = [*({"name": name, "inputSchema": SIMPLE} for name in self.more), *(FULL_TOOLS if self.full else [])]
        self.lists: dict[str, list[Json]] = {
            "tools": [*TOOLS, *named],
            "prompts": [ODD_PROMPT, *([{"name": "asking"}] if self.full else [])],
            "resources": [odd_resource(self.place), *(self._more_resources() if self.full else [])],
        }
        self.sessions: list[Session] = []
        self.visited: set[str] = set()
        self.tasks: dict[str, Json] = {}
        self.log("start", os.getpid())

    def _more_resources(self) -> list[Json]:
        return [{"uri": f"plain://{self.place}/{name}", "name": name} for name in ("b", "asking", "none")]

    def log(self, what: str, value: Any) -> None:
        if self.log_path:
            with Path(self.log_path).open("a", encoding="utf-8") as file:
                file.write(json.dumps([what, value]) + "\n")

    def open_session(self, beside: Any = None) -> Session:
        session = Session(beside=beside)
        self.sessions.append(session)
        return session

    def answer(self, message: Json, headers: dict[str, str], session: Session, channel: Channel) -> Json | None:
        method, params = message.get("method", ""), message.get("params") or {}
        if not method:
            session.answers[message["id"]] = message
            return None
        self.log(method, params)
        if self.ask_first and method == ("tools/list" if self.modern else "notifications/initialized"):
            threading.Thread(target=self.ask_beside, args=[session], daemon=True).start()
        if "id" not in message:
            if method == "notifications/cancelled":
                session.cancelled.add(params.get("requestId"))
            return None
        try:
            call = Call(self.modern, params, session, channel, message["id"], self.log)
            result = self.result(method, params, headers, call)
        except Error as error:
            return {"jsonrpc": "2.0", "id": message["id"], "error": error.args[0]}
        if self.modern:
            result = {"resultType": "complete", **result}
        if self.modern and self.full:
            result = {**result, "_meta": {**result.get("_meta", {}), f"{RESERVED}serverInfo": FULL_INFO}}
        return {"jsonrpc": "2.0", "id": message["id"], "result": result}

    def ask_beside(self, session: Session) -> None:
        """Ask when no request is under way, as soon as there is a way to."""
        end = time.monotonic() + 30
        while session.beside is None and time.monotonic() < end:
            time.sleep(0.01)
        if session.beside is not None:
            self.log("beside", session.answer(session.put("roots/list", {}, session.beside)))

    def initialize_result(self) -> Json:
        """Return what it says of itself: INFO, capabilities, instructions."""
        changing = {"listChanged": True} if self.full else {}
        heard = {"listChanged": True} if self.listens or not self.modern else {}
        capabilities: Json = {"tools": heard, "prompts": changing, "resources": changing, "completions": {}}
        if self.full:
            capabilities = {**capabilities, "resources": {"subscribe": True, **changing}, "logging": {}, **BESIDES}
            if self.modern:
                capabilities["extensions"] = {**BESIDES["extensions"], TASKS: {}}
            else:
                capabilities["tasks"] = {"list": {}, "cancel": {}, "requests": {"tools": {"call": {}}}}
        said = {"instructions": "Use it\nplainly"} if self.full else {}
        if self.modern:
            hints = {"ttlMs": 5000, "cacheScope": "public"} if self.full else {}
            said = said or {"instructions": "A plain server"}
            return {"supportedVersions": [MODERN], "capabilities": capabilities, **said, **hints}
        info = FULL_INFO if self.full else INFO
        return {"protocolVersion": "2025-11-25", "capabilities": capabilities, "serverInfo": info, **said}

    def result(  # noqa: C901, PLR0911, PLR0912  # one answer a method
        self, method: str, params: Json, headers: dict[str, str], call: Call
    ) -> Any:
        match method:
            case "initialize" if not self.modern:
                call.session.client_capabilities = params["capabilities"]
                return self.initialize_result()
            case "server/discover" if self.modern:
                return self.initialize_result()
            case "ping":
                return {}
            case "subscriptions/listen" if self.modern and self.listens:
                return listen(call)
            case "logging/setLevel" if not self.modern and self.full:
                call.session.level = params["level"]
                return {}
            case "resources/subscribe" | "resources/unsubscribe" if not self.modern and self.full:
                subscribes = method == "resources/subscribe"
                (call.session.watched.add if subscribes else call.session.watched.discard)(params["uri"])
                return {}
            case "tools/list" | "prompts/list" | "resources/list":
                return self.page(method.partition("/")[0], int(params.get("cursor", 0)), call)
            case "tools/call":
                return self.call(params["name"], headers, call)
            case "prompts/get" if params["name"] == "greet":
                return {**ODD_MESSAGES, "echo": params.get("arguments")}
            case "prompts/get" if params["name"] == "asking" and self.full:
                asked = ask(call, ROOTS)
                return asked if "resultType" in asked else {"messages": [], "asked": asked["structuredContent"]}
            case "resources/templates/list":
                return {"resourceTemplates": [odd_template(self.place)], **self.hint(60000, "public")}
            case "resources/read":
                return self.read(params["uri"], call)
            case "completion/complete":
                return {"completion": {"values": ["one"], "total": 1, "vendorField": None}, "echo": params["ref"]}
            case "vendor/hello" if self.full:
                return {"hello": params, "vendorTop": [1.0, None]}
        if method.startswith("tasks/") and self.full:
            return about_tasks(method, params, self.tasks, modern=self.modern)
        raise Error({"code": -32601, "message": "Method not found"})

    def hint(self, milliseconds: int, scope: str) -> Json:
        """Say how long an answer may be kept."""
        return {"ttlMs": milliseconds, "cacheScope": scope} if self.full and self.modern else {}

    def page(self, kind: str, at: int, call: Call) -> Json:
        if self.restless and kind == "tools":
            call.channel.send({"jsonrpc": "2.0", "method": "notifications/tools/list_changed"})
        found = self.lists[kind]
        page = {kind: found[at : at + 5], **self.hint(60000, "public")}
        return {**page, "nextCursor": str(at + 5)} if at + 5 < len(found) else page

    def read(self, uri: str, call: Call) -> Json:
        if uri.endswith("/none") and self.full:
            code = -32602 if self.modern else -32002
            raise Error({"code": code, "message": "Resource not found", "data": {"uri": uri, "null": None}})
        if uri.endswith("/asking") and self.full:
            asked = ask(call, ROOTS)
            return asked if "resultType" in asked else {"contents": [], "asked": asked["structuredContent"]}
        return {**odd_contents(uri), **self.hint(1234, "public")}

    def call(  # noqa: C901, PLR0911, PLR0912  # one answer a tool
        self, name: str, headers: dict[str, str], call: Call
    ) -> Any:
        match name:
            case "odd":
                return ODD_RESULT
            case "echo":
                # As programs in JavaScript cut text, in the middle of a character.
                cut = {"text": "cut \ud83d"} if "cut" in call.arguments else {}
                said = {"arguments": {**call.arguments, **cut}, "params": call.params}
                return {"content": [], "structuredContent": said}
            case "whoami":
                return {"content": [], "structuredContent": {"headers": headers, "pid": os.getpid()}}
            case "environment":
                return {"content": [], "structuredContent": {"names": sorted(os.environ)}}
            case "slow":
                return slow(call)
            case "crash":
                print("the plain server was told to crash", file=sys.stderr, flush=True)
                os._exit(3)
            case "fail":
                raise Error({"code": -31999, "message": "custom", "data": {"why": None}})
            case "grow":
                return self.add(
                    "tools", {"name": "grown", "description": "Zebra crossing", "inputSchema": SIMPLE}, call
                )
            case "ask" if self.full:
                return ask(call, call.arguments["rounds"], rude=call.arguments.get("rude", False))
            case "visit" if self.full:
                return visit(call, self.visited)
            case "tell" if self.full:
                return tell(call, call.arguments["levels"])
            case "touch" if self.full:
                return self.touch(call.arguments["uri"])
            case "announce" if self.full:
                return self.add(call.arguments["kind"], call.arguments["item"], call)
            case "job" if self.full:
                return job(call, self.tasks, self.place)
        if name in self.more:
            return {"content": [], "structuredContent": {"called": name}}
        raise Error({"code": -32602, "message": f"Unknown tool: {name}"})

    def add(self, kind: str, item: Json, call: Call) -> Json:
        """Add something to a list, and announce that."""
        self.lists[kind].append(item)
        flag, method = f"{kind}ListChanged", f"notifications/{kind}/list_changed"
        heard = announce(
            self.sessions, method, {}, lambda _, wanted: not self.modern if wanted is None else flag in wanted
        )
        if not heard and not self.modern:
            call.channel.send({"jsonrpc": "2.0", "method": method})
        return {"content": []}

    def touch(self, uri: str) -> Json:
        """Announce that a resource was updated, to those who are subscribed to it."""

        def wants(session: Session, wanted: Json | None) -> bool:
            return uri in (session.watched if wanted is None else wanted.get("resourceSubscriptions", ()))

        params = {"uri": uri, "vendorField": {"z": None, "a": 1.0}}
        heard = announce(self.sessions, "notifications/resources/updated", params, wants)
        return {"content": [], "structuredContent": {"heard": heard}}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("transport", choices=["stdio", "http"])
    parser.add_argument("--era", choices=["handshake", "modern"], default="handshake")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--log")
    parser.add_argument("--start-delay", type=float, default=0.0)
    parser.add_argument("--sessions", action="store_true")
    parser.add_argument("--tool", action="append", default=[])
    parser.add_argument("--place", default="plain")
    parser.add_argument("--restless", action="store_true")
    parser.add_argument("--full", action="store_true")
    parser.add_argument("--ask-first", action="store_true")
    arguments = parser.parse_args()
    time.sleep(arguments.start_delay)
    server = Server(arguments)
    if arguments.transport == "stdio":
        serve_stdio(server)
    else:
        serve_http(server, arguments.port, arguments.sessions)


if __name__ == "__main__":
    main()
