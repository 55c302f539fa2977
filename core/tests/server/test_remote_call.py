"""`call_remote_tool` in every form that models write, and names with what clients put before them."""

from __future__ import annotations

import json

import pytest
from msgspec import Raw

from mcp_gateway.protocol.raw_json import encode_raw
from mcp_gateway.server.builtin.remote_call import read_remote_call

from ..support.fake_servers import Remote, tool
from ..support.gateway import ask, client

eras = pytest.mark.parametrize("modern", [True, False], ids=["modern", "handshake"])

CITY = {"city": "Berlin", "n": {"x": [1, None]}}


@pytest.mark.parametrize(
    "more, arguments",
    [
        ({"arguments": CITY}, CITY),
        ({"arguments": json.dumps(CITY)}, CITY),
        ({"arguments": json.dumps(CITY, indent=2)}, CITY),
        ({"arguments": ""}, {}),
        ({"arguments": "{}"}, {}),
        ({"arguments": {}}, {}),
        ({}, {}),
        ({"arguments": None}, {}),
        (CITY, CITY),
        ({**CITY, "arguments": None}, CITY),
        ({**CITY, "auth_header": None}, CITY),
        ({"args": CITY}, CITY),
        ({"parameters": CITY}, CITY),
        ({"input": CITY}, CITY),
        ({"args": json.dumps(CITY)}, CITY),
        ({"parameters": CITY, "arguments": None}, CITY),
        ({"parameters": None}, {}),
        ({"parameters": {}}, {}),
        ({"input": "Berlin"}, {"input": "Berlin"}),
        ({"input": CITY, "city": "Rome"}, {"input": CITY, "city": "Rome"}),
        ({"args": {"a": 1}, "parameters": {"b": 2}}, {"args": {"a": 1}, "parameters": {"b": 2}}),
        ({"args": [1, 2]}, {"args": [1, 2]}),
    ],
    ids=lambda value: json.dumps(value)[:40],
)
@eras
async def test_arguments_come_in_any_form(gateway, modern, more, arguments):
    alpha = Remote(tool("x"))
    async with gateway({"alpha": alpha}) as opened, client(opened, modern=modern) as connection:
        result = await ask(connection, "call_remote_tool", {"tool_name": "alpha__x", **more})
    assert "isError" not in result
    assert [(call["name"], call["arguments"]) for call in alpha.calls] == [("x", arguments)]


@eras
async def test_a_parameter_of_the_tool_itself_is_no_wrapper(gateway, modern):
    schema = {"type": "object", "properties": {"input": {"type": "object"}}}
    alpha = Remote({**tool("x"), "inputSchema": schema})
    async with gateway({"alpha": alpha}) as opened, client(opened, modern=modern) as connection:
        for name in ("alpha__x", "mcp__gateway__alpha__x"):
            await ask(connection, "call_remote_tool", {"tool_name": name, "input": CITY})
    assert [call["arguments"] for call in alpha.calls] == [{"input": CITY}] * 2


def test_what_is_flat_or_in_a_string_stays_the_json_that_it_is():
    big = b'{"tool_name":"a__b","n":123456789012345678901234567890,"f":1.0,"e":1e400}'
    assert bytes(read_remote_call(Raw(big)).arguments) == (b'{"n":123456789012345678901234567890,"f":1.0,"e":1e400}')
    text = '{"n": 123456789012345678901234567890,\r\n "f": 1.0, "s": "\\n"}'
    read = read_remote_call(encode_raw({"tool_name": "a__b", "arguments": text}))
    assert bytes(read.arguments) == b'{"n": 123456789012345678901234567890,   "f": 1.0, "s": "\\n"}'


@pytest.mark.parametrize("arguments", [3, True, [1], "[1]", "nonsense", '{"a":', "[" * 100_000])
def test_what_is_no_object_is_none(arguments):
    given = encode_raw({"tool_name": "a__b", "arguments": arguments})
    assert read_remote_call(given).arguments is None


NAMES = [
    "alpha__x",
    "mcp__gateway__alpha__x",
    "mcp__my_gateway__alpha__x",
    "mcp__plugin_tools_gateway__alpha__x",
    "mcp_gateway_alpha__x",
    "gateway__alpha__x",
    "gateway_alpha__x",
    "gateway-alpha__x",
    "gateway.alpha__x",
    "gateway:alpha__x",
    "gateway/alpha__x",
    "@gateway/alpha__x",
    "mcp.gateway.alpha__x",
    "mcp0_alpha__x",
    "functions.alpha__x",
    "functions.mcp__gateway__alpha__x",
    "alpha__x_mcp_gateway",
    " alpha__x\n",
]


@pytest.mark.parametrize("name", NAMES)
@eras
async def test_what_a_client_puts_before_a_name_is_left_out(gateway, modern, name):
    alpha, beta = Remote(tool("x")), Remote(tool("x"))
    async with gateway({"alpha": alpha, "beta": beta}) as opened, client(opened, modern=modern) as connection:
        await ask(connection, "discover_tools", {"server_name": "alpha"})
        await ask(connection, "call_remote_tool", {"tool_name": name, "arguments": {}})
    assert (len(alpha.calls), len(beta.calls)) == (1, 0)


@pytest.mark.parametrize(
    "name, leads_to",
    [
        ("mcp__gateway__my_alpha__x", "my_alpha__x"),
        ("mcp__gateway__alpha__beta__y", "beta__y"),
        ("mcp__gateway__down__beta__y", "down__beta__y"),
        ("alpha__beta__y", "alpha__beta__y"),
        ("mcp__gateway__alpha__z", "alpha__z"),
        ("mcp__gateway__bare", "bare"),
        ("mcp_gateway_bare", "bare"),
        ("gone__bare", "gone__bare"),
        ("my_bare", "my_bare"),
        ("down__bare", "down__bare"),
        ("mcp__down__bare", "down__bare"),
        ("nonsense", "nonsense"),
        ("x" * 100_000, "x" * 100_000),
        ("", ""),
    ],
)
async def test_a_prefix_leads_to_no_other_server_than_the_one_that_is_named(gateway, name, leads_to):
    remotes = {name: Remote(tool("x")) for name in ("alpha", "my_alpha", "down", "nameless")}
    remotes |= {"beta": Remote(tool("y")), "nameless": Remote(tool("bare"))}
    remotes["down"].refusal = OSError("no route")
    keys = {"nameless": {"namespace": None}, "down": {"max_retries": 0}}
    async with gateway(remotes, **keys) as opened, client(opened) as connection:
        await ask(connection, "tool_search", {"query": "x"})
        assert opened.gateway.resolver.strip_client_prefix(name) == leads_to
