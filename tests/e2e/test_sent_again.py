"""What is sent again, and what never: the table of core/docs/sent-again.md, counted at real servers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import pytest

from .support.call_counter import Answer, Counter, counting
from .support.gateways import Launcher, free_port, until
from .support.raw_clients import HttpClient, Json

JSON = "application/json"


def rpc_error(code: int, message: str) -> Json:
    return {"jsonrpc": "2.0", "id": "ID", "error": {"code": code, "message": message}}


UNKNOWN = rpc_error(-32001, "Session not found")
NAMELESS: Json = {**UNKNOWN, "id": None}
FORGOTTEN = {
    "text": Answer("400 Bad Request", "Invalid or missing session ID", forgets=True),
    "error": Answer("400 Bad Request", {"error": "No active session"}, JSON, forgets=True),
    "detail": Answer("422 Unprocessable Entity", {"detail": "session expired"}, JSON, forgets=True),
    "gone": Answer("410 Gone", "gone", forgets=True),
    "500": Answer("500 Internal Server Error", "<html><h1>Unknown session</h1></html>", "text/html", forgets=True),
    "401": Answer("401 Unauthorized", {"message": "session expired"}, JSON, forgets=True),
    "403": Answer("403 Forbidden", "Session terminated", forgets=True),
    "rpc": Answer("400 Bad Request", NAMELESS, JSON, forgets=True),
    "rpc event": Answer("400 Bad Request", NAMELESS, "text/event-stream", forgets=True),
    "200": Answer("200 OK", UNKNOWN, JSON, forgets=True),
    "200 nameless": Answer("200 OK", NAMELESS, JSON, forgets=True),
    "200 -32600": Answer(
        "200 OK", rpc_error(-32600, "Unknown session id; client should reinitialize"), JSON, forgets=True
    ),
    "200 -32000": Answer("200 OK", rpc_error(-32000, "Bad Request: No valid session ID provided"), JSON, forgets=True),
    "422": Answer("422 Unprocessable Entity", "Unexpected message, expect initialize request", forgets=True),
    "200 event": Answer("200 OK", NAMELESS, "text/event-stream", forgets=True),
}
RIGHT = {
    "100": Answer(interim=b"HTTP/1.1 100 Continue\r\n\r\n"),
    "102": Answer(interim=b"HTTP/1.1 102 Processing\r\n\r\n" * 3),
    "103": Answer(interim=b"HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n"),
    "201": Answer("201 Created", "RIGHT"),
    "203": Answer("203 Non-Authoritative Information", "RIGHT"),
    "206": Answer("206 Partial Content", "RIGHT"),
}
REFUSED = {
    "101": Answer("101 Switching Protocols", headers=("upgrade: h2c", "connection: upgrade")),
    "202": Answer("202 Accepted"),
    "204": Answer("204 No Content"),
    "205": Answer("205 Reset Content"),
    "301": Answer("301 Moved Permanently", headers=("location: TARGET",)),
    "303": Answer("303 See Other", headers=("location: TARGET",)),
    "304": Answer("304 Not Modified"),
    "307 elsewhere": Answer("307 Temporary Redirect", headers=("location: http://127.0.0.1:1/mcp",)),
    "400": Answer("400 Bad Request", "no"),
    "401": Answer("401 Unauthorized", "no"),
    "403": Answer("403 Forbidden", "no"),
    "500": Answer("500 Internal Server Error", "no"),
    "html": Answer("200 OK", "<html></html>", "text/html"),
    "far 429": Answer("429 Too Many Requests", "no", headers=("retry-after: 3600",)),
}
BUSY = {
    "429": Answer("429 Too Many Requests", "no", headers=("retry-after: 1",)),
    "503": Answer("503 Service Unavailable", "no", headers=("retry-after: 0",)),
    "503 date": Answer("503 Service Unavailable", "no", headers=("retry-after: SOON",)),
    "429 rpc": Answer(
        "429 Too Many Requests",
        {"jsonrpc": "2.0", "id": None, "error": {"code": -32000, "message": "slowly"}},
        JSON,
        headers=("retry-after: 1",),
    ),
}
CUT = {"cut": Answer(is_cut="head"), "cut in two": Answer(is_cut="body")}
CLOSED = {"after": Answer("200 OK", "RIGHT", is_cut="after")}
MOVED = {status: Answer(status, headers=("location: TARGET",)) for status in ("307 Moved", "308 Moved")}


def rows(kind: str, answers: dict[str, Answer]) -> dict[str, Answer]:
    return {f"{kind} {name}".replace(" ", "-").lower(): answer for name, answer in answers.items()}


ROWS = {
    "lost": rows("lost", FORGOTTEN),
    "404": rows("lost", {"404": Answer("404 Not Found", forgets=True)}),
    "right": rows("right", RIGHT),
    "refused": rows("refused", REFUSED),
    "busy": rows("busy", BUSY),
    "cut": rows("cut", CUT),
    "moved": rows("moved", MOVED),
    "closed": rows("closed", CLOSED),
}
NOTIFIED = {
    name.replace(" ", "-").lower(): Answer(name, body, kind, to_notifications=True)
    for name, body, kind in (
        ("200 OK", "", "text/plain"),
        ("200 null", "null", JSON),
        ("200 events", ": nothing\n\n", "text/event-stream"),
        ("202 Accepted", "Accepted", "text/plain"),
        ("204 No Content", "", "text/plain"),
        ("400 Bad Request", NAMELESS, JSON),
        ("401 Unauthorized", "no", "text/plain"),
        ("404 Not Found", "<h1>no</h1>", "text/html"),
        ("405 Method Not Allowed", "", "text/plain"),
        ("500 Internal Server Error", "no", "text/plain"),
    )
}
NOTIFIED["cut"] = Answer(is_cut="head", to_notifications=True)
ERAS = ("handshake", "modern")
Call = Callable[[str, str], str]


@pytest.fixture(scope="module", params=ERAS)
def call(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Call, Counter]]:
    """Call a tool of a server through a gateway; return the text of an error, or nothing."""
    answers = {name: answer for kind in ROWS.values() for name, answer in kind.items()}
    with ExitStack() as stack:
        counter = stack.enter_context(counting(answers))
        launcher = Launcher(tmp_path_factory.mktemp("sent"), stack)
        names = [f"{name}-{theirs}" for name in answers for theirs in ERAS]
        config = launcher.config(*({"name": name, "url": counter.url(name), "timeout": 10} for name in names))
        client = HttpClient(launcher.start_http(config).url, modern=request.param == "modern")

        def call_tool(server: str, tool: str) -> str:
            answer = client.call(f"{server}__{tool}")
            if "error" in answer:
                return str(answer["error"])
            result: Json = answer["result"]
            return str(result["structuredContent"]["error"]) if result.get("isError") else ""

        until(lambda: all(call_tool(name, "warm") == "" for name in names), "all are ready")
        yield call_tool, counter


def cases(kind: str, *eras: str) -> list[str]:
    return [f"{name}-{era}" for name in ROWS[kind] for era in eras or ERAS]


def try_call(call: tuple[Call, Counter], server: str, tool: str) -> tuple[str, int]:
    """Make a call on a connection that is open; return the error, and how often the server saw it."""
    call_tool, counter = call
    assert call_tool(server, "warm") == ""
    said = call_tool(server, tool)
    return said, counter.made(server, tool)


@pytest.mark.parametrize("server", cases("right"))
@pytest.mark.parametrize("tool", ["pay", "read"])
def test_a_call_that_is_answered_in_an_odd_way_runs_once(call: tuple[Call, Counter], server: str, tool: str) -> None:
    assert try_call(call, server, tool) == ("", 1)


@pytest.mark.parametrize("server", [*cases("refused"), *cases("404", "modern"), *cases("lost", "modern")])
@pytest.mark.parametrize("tool", ["pay", "set"])
def test_a_call_that_is_refused_runs_once_and_the_next_one_works(
    call: tuple[Call, Counter], server: str, tool: str
) -> None:
    if server.startswith("refused-101") and tool == "set":
        pytest.skip("the connection is over: that is a cut")
    said, count = try_call(call, server, tool)
    assert (bool(said), count) == (True, 1)
    assert try_call(call, server, tool) == ("", 2)


@pytest.mark.parametrize("server", cases("404", "handshake"))
@pytest.mark.parametrize("tool", ["pay", "read"])
def test_404_of_a_session_is_a_new_session_and_the_call_once_more(
    call: tuple[Call, Counter], server: str, tool: str
) -> None:
    assert try_call(call, server, tool) == ("", 2)


@pytest.mark.parametrize("server", cases("lost", "handshake"))
def test_a_session_that_is_unknown_in_words_is_replaced_and_the_call_made_again_only_if_it_may_be(
    call: tuple[Call, Counter], server: str
) -> None:
    assert try_call(call, server, "read") == ("", 2)
    assert try_call(call, server, "set") == ("", 2)
    said, count = try_call(call, server, "pay")
    assert "has lost the session" in said
    assert "whether the request was carried out is not known" in said
    assert count == 1
    assert try_call(call, server, "pay") == ("", 2)


@pytest.mark.parametrize("server", cases("busy"))
def test_a_server_that_asks_to_wait_is_asked_again_only_if_that_may_be(call: tuple[Call, Counter], server: str) -> None:
    said, count = try_call(call, server, "pay")
    assert ("Retry-After" in said, count) == (True, 1)
    assert try_call(call, server, "read") == ("", 2)


@pytest.mark.parametrize("server", cases("cut"))
def test_a_call_whose_connection_is_cut_is_made_again_only_if_it_may_be(
    call: tuple[Call, Counter], server: str
) -> None:
    said, count = try_call(call, server, "pay")
    assert ("whether the request was carried out is not known" in said, count) == (True, 1)
    assert try_call(call, server, "read") == ("", 2)


@pytest.mark.parametrize("server", cases("moved"))
def test_a_call_that_is_redirected_within_the_origin_goes_there_once(call: tuple[Call, Counter], server: str) -> None:
    assert try_call(call, server, "pay") == ("", 2), "once where it is not carried out, and once where it is"


@pytest.mark.parametrize("server", cases("closed"))
def test_a_connection_that_was_closed_before_the_call_makes_no_difference(
    call: tuple[Call, Counter], server: str
) -> None:
    assert try_call(call, server, "pay") == ("", 1)
    call_tool, counter = call
    assert call_tool(server, "pay") == ""
    assert counter.made(server, "pay") == 2


@pytest.mark.parametrize("era", ERAS)
def test_whatever_a_server_answers_to_notifications_it_is_served(launcher: Launcher, era: str) -> None:
    with counting(NOTIFIED) as counter:
        config = launcher.config(*({"name": name, "url": counter.url(f"{name}-handshake")} for name in NOTIFIED))
        client = HttpClient(launcher.start_http(config).url, modern=era == "modern")
        results = {name: client.call(f"{name}__pay")["result"] for name in NOTIFIED}
        assert {name: result for name, result in results.items() if result.get("isError")} == {}
        assert {name: counter.made(f"{name}-handshake", "pay") for name in NOTIFIED} == dict.fromkeys(NOTIFIED, 1)


@pytest.mark.parametrize("era", ERAS)
def test_a_call_that_finds_nobody_listening_is_sent_until_somebody_is(launcher: Launcher, era: str) -> None:
    port, name = free_port(), f"here-{era}"
    with counting({}, port) as counter:
        config = launcher.config({"name": name, "url": counter.url(name), "max_retries": 8})
        client = HttpClient(launcher.start_http(config).url, modern=True)
        until(lambda: not client.call(f"{name}__warm")["result"].get("isError"), "it is ready")
    with ThreadPoolExecutor() as pool:
        calling = pool.submit(client.call, f"{name}__warm")
        with counting({}, port) as counter:
            assert not calling.result(60)["result"].get("isError")
            assert counter.made(name, "warm") == 1


def test_what_a_modern_server_wants_to_be_asked_again_is_not_begun_again(launcher: Launcher) -> None:
    result = {"resultType": "input_required", "requestState": "half done"}
    asks = Answer("200 OK", {"jsonrpc": "2.0", "id": "ID", "result": result}, JSON)
    with counting({"asks": asks}) as counter:
        config = launcher.config({"name": "asks", "url": counter.url("asks-modern")})
        client = HttpClient(launcher.start_http(config).url, modern=False)
        until(lambda: not client.call("asks__warm")["result"].get("isError"), "it is ready")
        before = len(counter.states)
        assert not client.call("asks__pay")["result"].get("isError")
        assert counter.states[before:] == [None, "half done"]


NOTHING_ASKED: dict[str, Json] = {
    "neither": {},
    "nulls": {"inputRequests": None, "requestState": None},
    "no-request": {"inputRequests": {}},
    "list": {"inputRequests": ["elicitation/create"], "requestState": "half done"},
    "text": {"inputRequests": {"name": "elicitation/create"}},
}


@pytest.mark.parametrize("theirs", ERAS)
def test_what_a_server_wants_to_be_asked_again_without_a_question_runs_once(launcher: Launcher, theirs: str) -> None:
    rows = {
        name: Answer(
            "200 OK",
            {"jsonrpc": "2.0", "id": "ID", "result": {"content": [], "resultType": "input_required", **asked}},
            JSON,
        )
        for name, asked in NOTHING_ASKED.items()
    }
    with counting(rows) as counter:
        config = launcher.config(*({"name": name, "url": counter.url(f"{name}-{theirs}")} for name in rows))
        client = HttpClient(launcher.start_http(config).url, modern=False)
        for name in rows:
            result = client.call(f"{name}__pay")["result"]
            # The word means nothing to servers of the handshake era: whatever it says, that is their result.
            assert bool(result.get("isError")) == (theirs == "modern"), result
            assert (f"server '{name}'" in str(result)) == (theirs == "modern")
            assert counter.made(f"{name}-{theirs}", "pay") == 1
