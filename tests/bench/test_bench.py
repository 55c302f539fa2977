"""The bench's own tools: the load client notices every wrong answer, and the server and the client can do both eras."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from . import row_tables
from .bench import Bench, records
from .binaries import find_compiler, program
from .environments import gateway_program
from .load import Load
from .measurement import wait_for_port
from .peers import PEERS
from .processes import Process, free_port
from .scenarios.ordinary import ordinary

pytestmark = pytest.mark.skipif(find_compiler() is None, reason="there is no C compiler")

FAULTS = {
    "id": "wrong_id",
    "token": "wrong_token",
    "size": "wrong_size",
    "is_error": "is_error",
    "error": "jsonrpc_error",
    "junk": "junk",
}
CALLS = ("--calls", "100", "--size", "100", "--timeout", "1", "--warmup", "0")
PARAMS = ("--params", json.dumps({"name": "echo", "arguments": {"text": "{T}", "size": 100}}))


@contextmanager
def server(*options: str) -> Iterator[str]:
    port = free_port()
    process = Process([program("downstream"), "--http", str(port), *options])
    try:
        wait_for_port(port)
        yield f"http://127.0.0.1:{port}/mcp"
    finally:
        process.stop()


def run(*arguments: str) -> Any:
    load = Load([*CALLS, *PARAMS, *arguments])
    try:
        return load.run() if not load.failed else load.failed
    finally:
        load.end()


@pytest.mark.parametrize("era", ["handshake", "modern"])
@pytest.mark.parametrize("callers", ["1", "32"])
def test_good_answers_are_good_over_http_and_over_stdio(era: str, callers: str) -> None:
    options = ("--era", era, "--callers", callers)
    with server("--era", era) as url:
        assert run("--url", url, *options)["good"] == 100
    assert run(*options, "--", program("downstream"), "--stdio", "--era", era)["good"] == 100


def test_answers_in_event_streams_are_found() -> None:
    with server("--sse") as url:
        assert run("--url", url, "--callers", "4")["good"] == 100


@pytest.mark.parametrize("fault", FAULTS)
def test_every_wrong_answer_is_noticed_over_http(fault: str) -> None:
    with server("--fault", fault) as url:
        result = run("--url", url, "--callers", "3")
    assert (result["good"], result["faults"]) == (90, 10)
    assert result["kinds"] == {FAULTS[fault]: 10}


@pytest.mark.parametrize("fault", [fault for fault in FAULTS if fault not in {"id", "junk"}])
def test_every_wrong_answer_is_noticed_over_stdio(fault: str) -> None:
    result = run("--callers", "3", "--", program("downstream"), "--stdio", "--fault", fault)
    assert (result["good"], result["kinds"]) == (90, {FAULTS[fault]: 10})


@pytest.mark.parametrize("fault", ["id", "junk", "silence"])
def test_a_call_that_is_never_answered_is_counted_over_stdio(fault: str) -> None:
    result = run("--callers", "3", "--calls", "30", "--", program("downstream"), "--stdio", "--fault", fault)
    assert (result["good"], result["kinds"]["timeout"]) == (27, 3)


def test_errors_of_http_are_noticed() -> None:
    with server("--fault", "status") as url:
        assert run("--url", url)["kinds"] == {"http_status": 10}


def test_silence_is_noticed() -> None:
    with server("--fault", "silence") as url:
        assert run("--url", url, "--calls", "10", "--callers", "1")["kinds"] == {"timeout": 1}


def test_a_server_of_another_era_is_no_server() -> None:
    with server("--era", "modern") as url:
        assert "Unsupported protocol version" in run("--url", url, "--era", "handshake")


def test_delay_and_size_are_kept() -> None:
    params = json.dumps({"name": "get_invoice_2", "arguments": {"text": "{T}", "size": 1 << 20, "delay_ms": 30}})
    options = ("--size", str(1 << 20), "--params", params, "--tool", "get_invoice_2", "--calls", "4", "--callers", "2")
    with server("--tools", "3") as url:
        over_http = run("--url", url, *options)
    over_stdio = run(*options, "--", program("downstream"), "--stdio", "--tools", "3")
    for result in (over_http, over_stdio):
        assert result["good"] == 4
        assert result["p50_ms"] >= 30


REPORTING = ("--progress-token", "--reports", "3", "--params")
REPORTING += (json.dumps({"name": "echo", "arguments": {"text": "{T}", "size": 100, "reports": 3}}),)


def run_on_both(era: str, load: tuple[str, ...], *options: str) -> list[Any]:
    """Run a load in front of a server over HTTP, and of one over stdio."""
    with server("--era", era, *options) as url:
        over_http = run("--url", url, "--era", era, "--callers", "8", *load)
    command = (program("downstream"), "--stdio", "--era", era, *options)
    return [over_http, run("--era", era, "--callers", "8", *load, "--", *command)]


@pytest.mark.parametrize("era", ["handshake", "modern"])
def test_an_ordinary_client_gets_what_a_plain_one_gets(era: str) -> None:
    load = ("--progress-token", "--split", "--capabilities", '{"roots":{},"sampling":{},"elicitation":{}}')
    for result in run_on_both(era, load, "--sse", "--logging"):
        assert (result["good"], result["reports"]) == (100, 0)


@pytest.mark.parametrize("era", ["handshake", "modern"])
def test_every_report_of_progress_is_counted(era: str) -> None:
    for result in run_on_both(era, REPORTING):
        assert (result["good"], result["reports"], result["kinds"]) == (100, 300, {})


@pytest.mark.parametrize(
    "fault, kinds",
    [("late", {"lost": 10, "late": 10}), ("lost", {"lost": 10}), ("stray", {"lost": 10, "stray": 10})],
)
def test_a_report_that_is_missing_late_or_of_another_call_is_noticed(fault: str, kinds: dict[str, int]) -> None:
    for result in run_on_both("handshake", REPORTING, "--fault", fault):
        # what follows the last answer over stdio is not read any more
        late = result["kinds"].get("late", 0)
        assert (result["good"], result["reports"]) == (90, 290)
        assert result["kinds"] == {**kinds, **({"late": late} if late == 9 else {})}


METHODS = {
    "prompts/get": ("say", {"name": "say", "arguments": {"text": "{T}"}}),
    "resources/read": ("bench://downstream/{T}", {"uri": "bench://downstream/{T}"}),
    "completion/complete": (
        "",
        {"ref": {"type": "ref/prompt", "name": "say"}, "argument": {"name": "text", "value": "{T}"}},
    ),
}


@pytest.mark.parametrize("era", ["handshake", "modern"])
@pytest.mark.parametrize("method", METHODS)
def test_prompts_resources_and_completions_are_answered(era: str, method: str) -> None:
    name, params = METHODS[method]
    load = ("--method", method, "--tool", name, "--size", "0", "--params", json.dumps(params))
    assert [result["good"] for result in run_on_both(era, load, "--content")] == [100, 100]


def test_a_header_that_is_missing_is_noticed() -> None:
    with server("--authorization", "Bearer one") as url:
        assert run("--url", url, "-H", "Authorization: Bearer one")["good"] == 100
        assert "http_status" in run("--url", url)


def test_a_stream_that_is_refused_is_noticed() -> None:
    with server() as url:
        assert "405" in run("--url", url, "--listen", "--callers", "1")


def test_rows_are_measured_beside_the_baseline_and_tabled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BENCH_CACHE", str(tmp_path))
    few: dict[str, Any] = {"rounds": 1, "seconds": 0.05, "callers": (2,), "calls": 0, "kinds": (), "trace": False}
    none: dict[str, Any] = {"tools": (), "servers": (), "replicas": ()}
    rows, peers = ("reports", "forwarded", "prompt"), [PEERS["gateway-modern"]]
    baseline = Path(gateway_program())
    ordinary(Bench(peers, ("http-http",), rows=rows, eras=("modern-both",), baseline=baseline, **few, **none))
    kept = records("ordinary")
    assert [(row["row"], row["peer"], row["gateway"]["kinds"]) for row in kept] == [
        (row, peer, {}) for row in rows for peer in ("gateway-modern", "baseline", "direct")
    ]
    lines = row_tables.ordinary().splitlines()
    cells = {line.split("|")[1].strip(): line.split("|") for line in lines if line.startswith("| `")}
    assert list(cells) == [f"`{row}`" for row in rows]
    assert [cells["`reports`"][-3].strip(), cells["`reports`"][-2].strip()] == ["3.0", "0"]
