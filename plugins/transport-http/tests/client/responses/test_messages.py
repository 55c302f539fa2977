"""Which message of a response answers the request."""

from __future__ import annotations

import pytest
from mcp_gateway_transport_http.client.responses.messages import (
    Kind,
    is_plain_response,
    kind_of,
    negotiated_version,
    split_messages,
)


@pytest.mark.parametrize(
    "message, plain",
    [
        (b'{"jsonrpc":"2.0","id":5,"result":{}}', True),
        (b'{"jsonrpc": "2.0", "id": 5, "error": {}}', True),
        (b'{"result":{"a":{}},"jsonrpc":"2.0","id":5}', True),
        (b'{"error":{"code":1},"jsonrpc":"2.0","id":5}', True),
        (b'{"jsonrpc":"2.0","id":6,"result":{}}', False),
        (b'{"jsonrpc":"2.0","id":55,"result":{}}', False),
        (b'{"result":{},"jsonrpc":"2.0","id":55}', False),
        (b'{"jsonrpc":"2.0","id":5,"method":"ping"}', False),
        (b'{"method":"x","params":{"a":{},"jsonrpc":"2.0","id":5}}', False),
        (b'{"result":{"a":"},\\"jsonrpc\\":\\"2.0\\",\\"id\\":5}"}}', False),
        (b'{"result":{"jsonrpc":"2.0","id":5}}', False),
    ],
)
def test_the_usual_forms_are_known_without_parsing(message, plain):
    assert is_plain_response(message, 5) is plain


@pytest.mark.parametrize(
    "message, kind",
    [
        (b'{"jsonrpc":"2.0","id":"5","result":1}', Kind.RESPONSE),
        (b'{"jsonrpc":"2.0","id":5.0,"result":1}', Kind.RESPONSE),
        (b'{"id":null,"error":{}}', Kind.UNNAMED),
        (b'{"error":"x"}', Kind.UNNAMED),
        (b'{"id":null,"error":null}', Kind.NONE),
        (b'{"id":6,"error":{}}', Kind.FOREIGN),
        (b'{"id":"x","result":{}}', Kind.FOREIGN),
        (b'{"id":"x","error":{}}', Kind.UNNAMED),
        (b'{"id":-1,"error":{}}', Kind.UNNAMED),
        (b'{"id":"x","error":null}', Kind.NONE),
        (b'{"id":5,"method":"ping"}', Kind.OTHER),
        (b'{"method":"x","params":{"result":{}}}', Kind.OTHER),
        (b'{"method":"x","params":"\\ud83e"}', Kind.OTHER),
        (b'{"id":6,"result":NaN}', Kind.FOREIGN),
        (b'{"jsonrpc":"2.0","id":"5.0","result":NaN}', Kind.RESPONSE),
        (b'{"id":true,"result":1}', Kind.FOREIGN),
        (b'{"id":true,"result":NaN}', Kind.FOREIGN),
        (b'{"id":5,"method":7}', Kind.NONE),
        (b'{"id":5}', Kind.NONE),
        (b"[]", Kind.NONE),
        (b"", Kind.NONE),
        (b"{" * 100_000, Kind.NONE),
        (b'{"a":' * 100_000, Kind.NONE),
        (b"\xff{}", Kind.NONE),
    ],
)
def test_a_message_is_one_of_four_kinds(message, kind):
    assert kind_of(message, 5) is kind


def test_an_array_is_its_members():
    assert split_messages(b' [ {"a":1} , {"b":2}]') == [b'{"a":1}', b'{"b":2}']
    assert split_messages(b"[1") == []
    text = b'{"a":1}'
    assert split_messages(text)[0] is text


@pytest.mark.parametrize("version, found", [("2025-06-18", "2025-06-18"), ("a\nb", ""), (5, ""), (None, "")])
def test_the_version_is_a_text_for_a_header(version, found):
    import json

    assert negotiated_version(json.dumps({"result": {"protocolVersion": version}}).encode()) == found
    assert negotiated_version(b"{}") == negotiated_version(b"what") == negotiated_version(b'{"result":5}') == ""
