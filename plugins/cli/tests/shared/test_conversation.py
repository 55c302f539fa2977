"""What a window knows of a conversation, and says when a gateway has ended."""

from __future__ import annotations

import json

import pytest
from mcp_gateway_cli.shared.conversation import Conversation


def encode(**members):
    return json.dumps({"jsonrpc": "2.0", **members}).encode() + b"\n"


def decode(lines):
    return [json.loads(line) for line in lines.splitlines()]


def shake_hands(conversation):
    """Open a conversation of the handshake era."""
    params = {"protocolVersion": "2025-11-25", "capabilities": {"roots": {}}}
    assert conversation.on_client_line(encode(id=0, method="initialize", params=params))
    assert conversation.on_gateway_line(encode(id=0, result={}))
    assert conversation.on_client_line(encode(method="notifications/initialized"))
    return params


@pytest.mark.parametrize("request_id", [1, "a", 2**70, 1.5, "ü"])
@pytest.mark.parametrize("arguments", ['{"a": 1}', '{"a": NaN}', r'{"a": "\ud800"}'], ids=["plain", "nan", "surrogate"])
def test_requests_without_an_answer_get_an_error_once(request_id, arguments):
    conversation = Conversation()
    call = b'{"jsonrpc":"2.0","id":%b,"method":"tools/call","params":%b}\n'
    conversation.on_client_line(call % (json.dumps(request_id).encode(), arguments.encode()))
    conversation.on_client_line(encode(id="answered", method="tools/call", params={}))
    conversation.on_client_line(encode(id="cancelled", method="tools/call", params={}))
    assert conversation.on_client_line(encode(method="notifications/cancelled", params={"requestId": "cancelled"}))
    assert conversation.on_gateway_line(encode(id="answered", result={}))
    (error,) = decode(conversation.end("it has ended"))
    assert error == {"jsonrpc": "2.0", "id": request_id, "error": {"code": -32000, "message": "it has ended"}}
    assert conversation.end("it has ended") == b""


def test_requests_of_an_ended_gateway_are_taken_back_and_late_answers_go_to_nobody():
    conversation = Conversation()
    assert conversation.on_gateway_line(encode(id="gateway-1", method="roots/list"))
    assert conversation.on_gateway_line(encode(id="gateway-2", method="roots/list"))
    answer = encode(id="gateway-1", result={"roots": []})
    assert conversation.on_client_line(answer)
    (taken_back,) = decode(conversation.end("it has ended"))
    assert (taken_back["method"], taken_back["params"]["requestId"]) == ("notifications/cancelled", "gateway-2")
    assert not conversation.on_client_line(encode(id="gateway-2", result={}))
    # The next gateway may use the same id.
    assert conversation.on_gateway_line(encode(id="gateway-2", method="roots/list"))
    assert conversation.on_client_line(encode(id="gateway-2", result={}))


def test_the_next_gateway_is_told_what_the_last_one_knew_and_its_answers_go_to_nobody():
    conversation = Conversation()
    params = shake_hands(conversation)
    for number, (method, content) in enumerate(
        [
            ("logging/setLevel", {"level": "info"}),
            ("logging/setLevel", {"level": "error"}),
            ("resources/subscribe", {"uri": "x:kept"}),
            ("resources/subscribe", {"uri": "x:left"}),
            ("resources/unsubscribe", {"uri": "x:left"}),
            ("tools/list", {}),
            ("resources/templates/list", {}),
        ],
        start=1,
    ):
        conversation.on_client_line(encode(id=number, method=method, params=content))
    conversation.end("it has ended")
    assert conversation.is_open
    (handshake,) = decode(conversation.renew_handshake())
    assert (handshake["method"], handshake["params"]) == ("initialize", params)
    assert not conversation.on_gateway_line(encode(id=handshake["id"], result={}))
    initialized, *state = decode(conversation.renew_state())
    assert initialized == {"jsonrpc": "2.0", "method": "notifications/initialized"}
    assert [(message["method"], message["params"]) for message in state] == [
        ("logging/setLevel", {"level": "error"}),
        ("resources/subscribe", {"uri": "x:kept"}),
    ]
    assert not any(conversation.on_gateway_line(encode(id=message["id"], result={})) for message in state)
    changes = [message["method"] for message in decode(conversation.list_changes())]
    assert changes == ["notifications/resources/list_changed", "notifications/tools/list_changed"]
    assert conversation.end("it has ended") == b""


@pytest.mark.parametrize("answer", [None, {"error": {"code": -32602, "message": "no"}}], ids=["none", "error"])
def test_a_handshake_without_success_is_not_told_to_the_next_gateway(answer):
    conversation = Conversation()
    conversation.on_client_line(encode(id=0, method="initialize", params={}))
    if answer is not None:
        conversation.on_gateway_line(encode(id=0, **answer))
    assert not conversation.is_open


def test_a_second_handshake_replaces_the_first():
    conversation = Conversation()
    shake_hands(conversation)
    conversation.on_client_line(encode(id=5, method="logging/setLevel", params={"level": "error"}))
    conversation.on_client_line(encode(id=6, method="initialize", params={"new": True}))
    assert not conversation.is_open
    conversation.on_gateway_line(encode(id=6, result={}))
    (handshake,) = decode(conversation.renew_handshake())
    assert handshake["params"] == {"new": True}
    assert conversation.renew_state() == b""


@pytest.mark.parametrize("line", [b"\n", b"no JSON\n", b"[1]\n", b'{"id":true,"method":"x"}\n', b'{"id":1', b"\xff\n"])
def test_what_is_no_message_is_passed_on_for_the_gateway_to_say_so(line):
    conversation = Conversation()
    assert conversation.on_client_line(line)
    assert conversation.on_gateway_line(line)
    assert conversation.end("it has ended") == b""
