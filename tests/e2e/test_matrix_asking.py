"""Both eras on both sides: what servers ask clients while they work, and beside."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from .support.gateways import until
from .support.matrix import (
    ADA,
    BACKWARD,
    EQUAL,
    EVERYTHING,
    FORM,
    FORWARD,
    HOME,
    LOGIN,
    NEW_CLIENT,
    OLD_SERVER,
    PAIRS,
    SAMPLE,
    TRANSPORTS,
    WORD,
    ClientFactory,
    Json,
    MatrixGateway,
    Pair,
    cell,
    fresh_name,
    open_clients,
    shared_matrix_gateway,
)
from .support.raw_clients import HttpClient

FORM_QUESTION = ("elicitation/create", FORM)
ROOTS_QUESTION = ("roots/list", {})


@pytest.fixture(scope="module")
def gateway(request: pytest.FixtureRequest) -> MatrixGateway:
    return shared_matrix_gateway(request)


@pytest.fixture
def make_client(gateway: MatrixGateway) -> Iterator[ClientFactory]:
    with open_clients(gateway.url) as make_client:
        yield make_client


def converse(client: HttpClient, pair: Pair, *rounds: list[tuple[str, Json]], **more: Any) -> Json:
    arguments = {"rounds": rounds, **more}
    return client.request_with_answers("tools/call", {"name": f"{pair.name}__ask", "arguments": arguments})


def expected_answers(pair: Pair, *results: Json) -> Json:
    """Return what a server has got; results have a type in the modern era."""
    typed = {"resultType": "complete"} if pair.server == "modern" else {}
    return {"answers": [{"result": {**typed, **result}} for result in results]}


def check(make_client: ClientFactory, pair: Pair, *rounds: list[tuple[str, Json]], results: list[Json]) -> HttpClient:
    """Have a server ask, and see that questions and answers arrive whole, in the manner of either era."""
    client = make_client.answering(pair)
    response = converse(client, pair, *rounds)
    asked = [question for questions in rounds for question in questions]
    assert json.dumps(client.asked) == json.dumps(asked)
    assert response["result"]["structuredContent"] == expected_answers(pair, *results)
    assert len(client.results) == (len(rounds) if pair.modern else 0)
    assert "requestState" not in response["result"]
    return client


@cell("elicitation form")
def test_a_form_is_filled_in_by_the_client(make_client: ClientFactory, pair: Pair) -> None:
    check(make_client, pair, [FORM_QUESTION], results=[ADA])


@cell("sampling")
def test_the_client_s_model_is_asked(make_client: ClientFactory, pair: Pair) -> None:
    check(make_client, pair, [("sampling/createMessage", SAMPLE)], results=[WORD])


@cell("roots")
def test_the_client_s_roots_are_listed(make_client: ClientFactory, pair: Pair) -> None:
    check(make_client, pair, [ROOTS_QUESTION], results=[HOME])


@cell("two questions at once")
def test_two_questions_of_one_call_come_together(make_client: ClientFactory, pair: Pair) -> None:
    client = check(make_client, pair, [FORM_QUESTION, ROOTS_QUESTION], results=[ADA, HOME])
    if pair.modern:
        assert [len(result["inputRequests"]) for result in client.results] == [2]


@cell("two questions in turn")
def test_a_call_may_ask_again_after_an_answer(make_client: ClientFactory, pair: Pair) -> None:
    check(make_client, pair, [FORM_QUESTION], [ROOTS_QUESTION], results=[ADA, HOME])


@cell("questions of prompts and resources")
def test_a_prompt_and_a_resource_may_ask_too(make_client: ClientFactory, pair: Pair) -> None:
    for method, params in (
        ("prompts/get", {"name": f"{pair.name}__asking"}),
        ("resources/read", {"uri": f"plain://{pair.name}/asking"}),
    ):
        client = make_client.answering(pair)
        response = client.request_with_answers(method, params)
        assert (client.asked, response["result"]["asked"]) == ([ROOTS_QUESTION], expected_answers(pair, HOME))
        assert len(client.results) == pair.modern


@cell("elicitation url", pairs=[*EQUAL, *BACKWARD])
def test_a_url_is_visited_under_the_id_that_the_handshake_era_wants(make_client: ClientFactory, pair: Pair) -> None:
    client = make_client.answering(pair)
    params = {**LOGIN, "elicitationId": "e-1"} if pair.server == "handshake" else LOGIN
    response = converse(client, pair, [("elicitation/create", params)])
    assert client.asked == [("elicitation/create", LOGIN if pair.modern else params)]
    assert response["result"]["structuredContent"] == expected_answers(pair, ADA)


@cell("elicitation url", pairs=FORWARD)
def test_a_url_gets_an_id_for_an_old_client(make_client: ClientFactory, pair: Pair) -> None:
    client = make_client.answering(pair)
    response = converse(client, pair, [("elicitation/create", LOGIN)])
    ((method, params),) = client.asked
    assert (method, params) == ("elicitation/create", {**LOGIN, "elicitationId": params["elicitationId"]})
    assert response["result"]["structuredContent"] == expected_answers(pair, ADA)


@cell("URL required (-32042)", pairs=PAIRS[:1])
def test_the_error_that_wants_a_visit_passes_between_old_ones(make_client: ClientFactory, pair: Pair) -> None:
    client, name = make_client.answering(pair), fresh_name(pair, "visit")
    error = client.call(f"{pair.name}__visit", {"id": name})["error"]
    data = {"elicitations": [{**LOGIN, "elicitationId": name}]}
    assert error == {"code": -32042, "message": "A visit is needed", "data": data}
    assert client.call(f"{pair.name}__visit", {"id": name})["result"]["content"][0]["text"] == "visited"


@cell("URL required (-32042)", pairs=[*FORWARD, *NEW_CLIENT])
def test_all_others_are_asked_for_the_visit(make_client: ClientFactory, pair: Pair) -> None:
    client = make_client.answering(pair)
    params = {"name": f"{pair.name}__visit", "arguments": {"id": fresh_name(pair, "visit")}}
    result = client.request_with_answers("tools/call", params)["result"]
    assert result["content"][0]["text"] == "visited"
    ((method, asked),) = client.asked
    assert (method, {**asked, **LOGIN}) == ("elicitation/create", asked)
    assert ("elicitationId" in asked) != pair.modern
    assert len(client.results) == pair.modern


@pytest.mark.parametrize("over", TRANSPORTS)
def test_a_call_is_not_repeated_for_a_new_client_whose_user_does_not_agree(
    make_client: ClientFactory, over: str
) -> None:
    pair = Pair("modern", "handshake", over)
    client = make_client(pair, EVERYTHING, {"elicitation/create": {"action": "decline"}})
    params = {"name": f"{pair.name}__visit", "arguments": {"id": f"declined-{over}"}}
    result = client.request_with_answers("tools/call", params)["result"]
    assert (result["isError"], result["structuredContent"]["error_code"]) == (True, "input_required")
    assert "the user did not agree" in result["content"][0]["text"]


@cell("a question that the client cannot answer", pairs=OLD_SERVER)
def test_an_old_server_is_told_that_its_question_cannot_be_answered(make_client: ClientFactory, pair: Pair) -> None:
    client = make_client(pair)
    response = converse(client, pair, [FORM_QUESTION], rude=True)
    (answer,) = response["result"]["structuredContent"]["answers"]
    assert answer["error"]["code"] == -32601
    assert "the client did not declare that it can answer elicitation/create" in answer["error"]["message"]
    assert not client.asked


@cell("a question that the client cannot answer", pairs=FORWARD)
def test_a_call_fails_if_an_old_client_cannot_answer(make_client: ClientFactory, pair: Pair) -> None:
    client = make_client(pair)
    result = converse(client, pair, [FORM_QUESTION], rude=True)["result"]
    assert (result["isError"], result["structuredContent"]["error_code"]) == (True, "input_required")
    assert "asks for elicitation/create, which the client did not declare" in result["content"][0]["text"]
    assert not client.asked


@cell("a question that the client cannot answer", pairs=PAIRS[3:])
def test_a_question_of_a_rude_server_passes_between_new_ones(make_client: ClientFactory, pair: Pair) -> None:
    arguments = {"rounds": [[FORM_QUESTION]], "rude": True}
    result = make_client(pair).call(f"{pair.name}__ask", arguments)["result"]
    assert result["inputRequests"] == {"q0": {"method": "elicitation/create", "params": FORM}}


@cell("two clients at once")
def test_each_of_two_clients_gets_its_own_questions(make_client: ClientFactory, pair: Pair) -> None:
    people = {}
    for name in ("ann", "bob"):
        people[name] = make_client.answering(pair, headers={"authorization": f"Bearer {name}"})
        converse(people[name], pair, [ROOTS_QUESTION])
        people[name].asked.clear()
        people[name].answers = {"elicitation/create": {"action": "accept", "content": {"name": name}}}
    calls = {
        name: ("tools/call", {"name": f"{pair.name}__ask", "arguments": {"rounds": [[_question(name)]]}})
        for name in people
    }
    begun = {name: client.begin(*calls[name]) for name, client in people.items()}
    responses = {name: people[name].finish(begun[name]) for name in ("bob", "ann")}
    for name, client in people.items():
        result = responses[name]["result"]
        if pair.modern:
            again = {**calls[name][1], **client.answers_to(result)}
            result = client.ask("tools/call", again)["result"]
        assert client.asked == [_question(name)]
        expected = expected_answers(pair, {"action": "accept", "content": {"name": name}})
        assert result["structuredContent"] == expected


@cell("two clients with one credential")
def test_two_clients_are_two_even_with_one_credential(make_client: ClientFactory, pair: Pair) -> None:
    converse(make_client.answering(pair), pair, [ROOTS_QUESTION])
    people = {name: make_client.answering(pair) for name in ("ann", "bob")}
    calls = {name: {"name": f"{pair.name}__ask", "arguments": {"rounds": [[_question(name)]]}} for name in people}
    begun = {name: client.begin("tools/call", calls[name]) for name, client in people.items()}
    results = {name: people[name].finish(begun[name])["result"] for name in ("bob", "ann")}
    for name, client in people.items():
        if pair.modern:
            again = {**calls[name], **client.answers_to(results[name])}
            results[name] = client.ask("tools/call", again)["result"]
        assert client.asked == [_question(name)]
        assert results[name]["structuredContent"] == expected_answers(pair, ADA)


@cell("a question that is declined")
def test_a_refusal_passes_as_every_answer(make_client: ClientFactory, pair: Pair) -> None:
    client = make_client(pair, EVERYTHING, {"elicitation/create": {"action": "decline"}})
    response = converse(client, pair, [FORM_QUESTION])
    assert response["result"]["structuredContent"] == expected_answers(pair, {"action": "decline"})


@pytest.mark.parametrize("over", TRANSPORTS)
def test_a_question_ends_with_its_call(make_client: ClientFactory, gateway: MatrixGateway, over: str) -> None:
    pair = Pair("handshake", "handshake", over)
    client, before = make_client.answering(pair), len(gateway.logged(pair, "stopped"))
    stream = client.begin("tools/call", {"name": f"{pair.name}__ask", "arguments": {"rounds": [[ROOTS_QUESTION]]}})
    question = stream.next()
    assert question is not None
    assert question["method"] == "roots/list"
    client.cancel(stream)
    until(lambda: gateway.logged(pair, "stopped")[before:] == ["ask"], "the server hears that the call is cancelled")
    client.send({"jsonrpc": "2.0", "id": question["id"], "result": HOME})
    assert converse(client, pair, [ROOTS_QUESTION])["result"]["structuredContent"] == expected_answers(pair, HOME)


@pytest.mark.parametrize("over", TRANSPORTS)
def test_an_error_of_the_client_is_the_server_s_answer(make_client: ClientFactory, over: str) -> None:
    pair = Pair("handshake", "handshake", over)
    response = converse(make_client(pair, EVERYTHING), pair, [FORM_QUESTION])
    error = {"code": -32601, "message": "Method not found"}
    assert response["result"]["structuredContent"] == {"answers": [{"error": error}]}


@pytest.mark.parametrize("over", TRANSPORTS)
def test_a_call_fails_if_its_question_is_answered_with_an_error(make_client: ClientFactory, over: str) -> None:
    pair = Pair("handshake", "modern", over)
    result = converse(make_client(pair, EVERYTHING), pair, [FORM_QUESTION])["result"]
    assert (result["isError"], result["structuredContent"]["error_code"]) == (True, "input_required")
    assert "the client answered with an error: Method not found" in result["content"][0]["text"]


def _question(name: str) -> tuple[str, Json]:
    return ("elicitation/create", {**FORM, "message": f"for {name}"})
