"""Both eras on both sides: what a client sends back to name a call that waits for its answers."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from .support.matrix import (
    ADA,
    BACKWARD,
    FORM,
    OLD_CLIENT,
    PAIRS,
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

NEW_ONES = PAIRS[3:]
TAMPERED, REPLAYED = "requestState tampered with", "requestState used twice"
FOREIGN, ALTERED = "requestState of another client", "requestState with other arguments"
ELSEWHERE = "requestState at another replica"
ANN, BOB = ({"authorization": f"Bearer {name}"} for name in ("ann", "bob"))


@pytest.fixture(scope="module")
def gateway(request: pytest.FixtureRequest) -> MatrixGateway:
    return shared_matrix_gateway(request)


@pytest.fixture(scope="module")
def replica(gateway: MatrixGateway) -> str:
    """Another gateway with the same servers."""
    return gateway.launcher.start_http(gateway.config).url


@pytest.fixture
def make_client(gateway: MatrixGateway) -> Iterator[ClientFactory]:
    with open_clients(gateway.url) as make_client:
        yield make_client


def asking(pair: Pair, **more: object) -> Json:
    rounds = [[["elicitation/create", FORM]]]
    return {"name": f"{pair.name}__ask", "arguments": {"rounds": rounds, **more}}


def begin_call(client: HttpClient, pair: Pair) -> tuple[Json, Json]:
    """Begin a call that waits for answers; return its params, and what to add to them."""
    params = asking(pair)
    result = client.ask("tools/call", params)["result"]
    assert result["resultType"] == "input_required"
    return params, client.answers_to(result)


def succeeds(response: Json) -> bool:
    (answer,) = response["result"]["structuredContent"]["answers"]
    return {**answer["result"], **ADA} == answer["result"]


@cell(TAMPERED, REPLAYED, FOREIGN, ALTERED, ELSEWHERE, pairs=OLD_CLIENT)
def test_old_clients_never_see_a_state(make_client: ClientFactory, pair: Pair) -> None:
    client = make_client.answering(pair)
    response = client.ask("tools/call", asking(pair))
    assert succeeds(response)
    assert not {"requestState", "inputRequests", "resultType"} & set(response["result"])
    assert [method for method, _ in client.asked] == ["elicitation/create"]


@cell(TAMPERED, pairs=BACKWARD)
def test_a_state_that_was_changed_is_refused_and_the_right_one_still_works(
    make_client: ClientFactory, pair: Pair
) -> None:
    client = make_client.answering(pair)
    params, answers = begin_call(client, pair)
    state = answers["requestState"]
    for wrong in (f"{state}x", state[:-1], "", "x.y", state.swapcase(), state.partition(".")[0]):
        error = client.ask("tools/call", {**params, **answers, "requestState": wrong})["error"]
        assert (error["code"], "requestState" in error["message"]) == (-32602, True)
    assert succeeds(client.ask("tools/call", {**params, **answers}))


@cell(TAMPERED, pairs=NEW_ONES)
def test_the_server_refuses_the_state_that_it_did_not_make(make_client: ClientFactory, pair: Pair) -> None:
    client = make_client.answering(pair)
    params, answers = begin_call(client, pair)
    wrong = {**answers, "requestState": answers["requestState"] + " "}
    error = client.ask("tools/call", {**params, **wrong})["error"]
    assert error == {"code": -32602, "message": "The plain server did not make this requestState"}


@cell(REPLAYED, pairs=BACKWARD)
def test_a_state_works_once(make_client: ClientFactory, pair: Pair) -> None:
    client = make_client.answering(pair)
    params, answers = begin_call(client, pair)
    assert succeeds(client.ask("tools/call", {**params, **answers}))
    error = client.ask("tools/call", {**params, **answers})["error"]
    assert (error["code"], "requestState" in error["message"]) == (-32602, True)


@cell(REPLAYED, pairs=NEW_ONES)
def test_the_server_decides_how_often_its_state_works(make_client: ClientFactory, pair: Pair) -> None:
    client = make_client.answering(pair)
    params, answers = begin_call(client, pair)
    assert all(succeeds(client.ask("tools/call", {**params, **answers})) for _ in range(2))


@cell(FOREIGN, pairs=BACKWARD)
def test_a_state_is_worth_nothing_to_another_client(make_client: ClientFactory, pair: Pair) -> None:
    ann, bob = make_client.answering(pair, headers=ANN), make_client.answering(pair, headers=BOB)
    params, answers = begin_call(ann, pair)
    error = bob.ask("tools/call", {**params, **answers})["error"]
    assert (error["code"], "requestState" in error["message"]) == (-32602, True)
    assert succeeds(ann.ask("tools/call", {**params, **answers}))


@cell(FOREIGN, pairs=NEW_ONES)
def test_the_server_decides_whose_its_state_is(make_client: ClientFactory, pair: Pair) -> None:
    ann, bob = make_client.answering(pair, headers=ANN), make_client.answering(pair, headers=BOB)
    params, answers = begin_call(ann, pair)
    assert succeeds(bob.ask("tools/call", {**params, **answers}))


@cell(ALTERED, pairs=BACKWARD)
def test_a_state_belongs_to_one_request(make_client: ClientFactory, gateway: MatrixGateway, pair: Pair) -> None:
    client = make_client.answering(pair)
    params, answers = begin_call(client, pair)
    other = asking(pair, more=fresh_name(pair, "other"))
    for changed in (other, {**other, "name": f"{pair.name}__echo"}):
        error = client.ask("tools/call", {**changed, **answers})["error"]
        assert (error["code"], "requestState" in error["message"]) == (-32602, True)
    assert succeeds(client.ask("tools/call", {**params, **answers}))
    assert other["arguments"] not in [call["arguments"] for call in gateway.logged(pair, "tools/call")]


@cell(ALTERED, pairs=NEW_ONES)
def test_the_server_sees_the_arguments_that_came_with_its_state(
    make_client: ClientFactory, gateway: MatrixGateway, pair: Pair
) -> None:
    client = make_client.answering(pair)
    _, answers = begin_call(client, pair)
    other = asking(pair, more=fresh_name(pair, "other"))
    client.ask("tools/call", {**other, **answers})
    found = [call for call in gateway.logged(pair, "tools/call") if call["arguments"] == other["arguments"]]
    assert [call["requestState"] for call in found] == [answers["requestState"]]


@cell(ELSEWHERE, pairs=BACKWARD)
def test_a_call_waits_in_one_replica_only(make_client: ClientFactory, replica: str, pair: Pair) -> None:
    client, elsewhere = make_client.answering(pair), make_client.answering(pair, url=replica)
    params, answers = begin_call(client, pair)
    error = elsewhere.ask("tools/call", {**params, **answers})["error"]
    assert (error["code"], "another replica of the gateway" in error["message"]) == (-32602, True)
    assert succeeds(client.ask("tools/call", {**params, **answers}))


@cell(ELSEWHERE, pairs=NEW_ONES)
def test_a_call_goes_on_at_any_replica(make_client: ClientFactory, replica: str, pair: Pair) -> None:
    client, elsewhere = make_client.answering(pair), make_client.answering(pair, url=replica)
    params, answers = begin_call(client, pair)
    assert succeeds(elsewhere.ask("tools/call", {**params, **answers}))
