"""What servers that others made offer is listed by, given to and understood by clients that others made."""

from __future__ import annotations

import base64
import gzip
import json

import pytest

from .counterparts.gateways import PYTHON, SERVERS, ClientSession

ALWAYS = {
    "echo",
    "get-annotated-message",
    "get-env",
    "get-resource-links",
    "get-resource-reference",
    "get-structured-content",
    "get-sum",
    "get-tiny-image",
    "gzip-file-as-resource",
    "toggle-simulated-logging",
    "toggle-subscriber-updates",
    "trigger-long-running-operation",
}
WITH_CAPABILITIES = {
    "get-roots-list",
    "simulate-research-query",
    "trigger-elicitation-request",
    "trigger-sampling-request",
    "trigger-url-elicitation",
}
PIXEL = base64.b64encode(b"\x89PNG\r\n\x1a\n").decode()


def listed(session: ClientSession, order: str, kind: str) -> dict[str, dict]:
    """Return what is listed of a kind, by name."""
    return {item["name"]: item for item in session.client.run(order)[kind]}


def test_all_tools_are_listed_those_for_able_clients_too(session: ClientSession) -> None:
    tools = listed(session, "tools", "tools")
    assert {session.deployment.named("everything", name) for name in ALWAYS | WITH_CAPABILITIES} <= set(tools)
    assert tools[session.deployment.named("everything", "get-sum")]["annotations"] == {
        "readOnlyHint": True,
        "destructiveHint": False,
        "idempotentHint": True,
        "openWorldHint": False,
    }
    assert tools[session.deployment.named("everything", "get-sum")]["title"] == "Get Sum Tool"
    for server in PYTHON:
        assert tools[session.deployment.named(server, "picture")]["annotations"] == {
            "title": "A picture",
            "readOnlyHint": True,
        }
        assert "degrees" in tools[session.deployment.named(server, "weather")]["outputSchema"]["properties"]


def test_a_gateways_own_tools_find_and_call_them(session: ClientSession) -> None:
    found = session.client.call("tool_search", query="the sum of two numbers")["structuredContent"]
    assert session.deployment.named("everything", "get-sum") in [tool["tool_name"] for tool in found["tools"]]
    remote = {"tool_name": session.deployment.named("everything", "get-sum"), "arguments": {"a": 2, "b": 3}}
    assert session.client.call("call_remote_tool", **remote)["content"][0]["text"] == "The sum of 2 and 3 is 5."


@pytest.mark.parametrize("server", PYTHON)
def test_an_image_arrives(session: ClientSession, server: str) -> None:
    content = session.call(server, "picture")["content"]
    assert content == [
        {"type": "text", "text": "a pixel"},
        {"type": "image", "data": PIXEL, "mimeType": "image/png"},
    ]


def test_images_with_annotations_arrive_from_npm(session: ClientSession) -> None:
    image = session.call("everything", "get-tiny-image")["content"][1]
    assert (image["type"], image["mimeType"]) == ("image", "image/png")
    assert base64.b64decode(image["data"]).startswith(b"\x89PNG")
    text, image = session.call("everything", "get-annotated-message", messageType="error", includeImage=True)["content"]
    assert text["annotations"] == {"priority": 1.0, "audience": ["user", "assistant"]}
    assert image["annotations"] == {"priority": 0.5, "audience": ["user"]}


@pytest.mark.parametrize("server", PYTHON)
def test_structured_content_arrives(session: ClientSession, server: str) -> None:
    result = session.call(server, "weather", city="Oslo")
    assert result["structuredContent"] == {"city": "Oslo", "degrees": 21.5}
    assert json.loads(result["content"][0]["text"]) == result["structuredContent"]


def test_structured_content_arrives_from_npm(session: ClientSession) -> None:
    result = session.call("everything", "get-structured-content", location="Chicago")
    assert set(result["structuredContent"]) == {"temperature", "conditions", "humidity"}
    assert json.loads(result["content"][0]["text"]) == result["structuredContent"]


def test_links_to_resources_can_be_followed(session: ClientSession) -> None:
    links = session.call("everything", "get-resource-links", count=2)["content"][1:]
    assert [link["type"] for link in links] == ["resource_link", "resource_link"]
    assert links[1]["uri"] == "demo://resource/dynamic/text/2"
    contents = session.client.run("read", uri=links[1]["uri"])["contents"]
    assert contents[0]["text"].startswith("Resource 2: This is a plaintext resource")
    embedded = session.call("everything", "get-resource-reference", resourceType="Blob", resourceId=1)["content"][1]
    assert embedded["type"] == "resource"
    assert embedded["resource"]["uri"] == "demo://resource/dynamic/blob/1"


def test_simple_tools_answer_from_npm(session: ClientSession) -> None:
    assert session.text("everything", "echo", message="é 👍") == "Echo: é 👍"
    assert "PATH" in json.loads(session.text("everything", "get-env"))
    data = "data:text/plain;base64," + base64.b64encode(b"to be compressed").decode()
    zipped = session.call("everything", "gzip-file-as-resource", name="x.gz", data=data, outputType="resource")
    (content,) = zipped["content"]
    assert (content["type"], content["resource"]["mimeType"]) == ("resource", "application/gzip")
    assert gzip.decompress(base64.b64decode(content["resource"]["blob"])) == b"to be compressed"


def test_arguments_that_a_server_refuses_are_its_own_error(session: ClientSession) -> None:
    result = session.call("everything", "get-sum", a="two", b=3)
    assert result["isError"] is True
    assert "Input validation error" in result["content"][0]["text"]


def test_prompts_are_listed_and_got(session: ClientSession) -> None:
    prompts = listed(session, "prompts", "prompts")
    names = ("simple-prompt", "args-prompt", "completable-prompt", "resource-prompt")
    assert {session.deployment.named("everything", name) for name in names} <= set(prompts)
    weather = session.deployment.named("everything", "args-prompt")
    assert [argument["name"] for argument in prompts[weather]["arguments"]] == ["city", "state"]
    got = session.client.run("prompt", name=weather, arguments={"city": "Oslo"})
    assert got["messages"] == [{"role": "user", "content": {"type": "text", "text": "What's weather in Oslo?"}}]
    resource = {"resourceType": "Text", "resourceId": "3"}
    got = session.client.run(
        "prompt", name=session.deployment.named("everything", "resource-prompt"), arguments=resource
    )
    assert got["messages"][1]["content"]["resource"]["uri"] == "demo://resource/dynamic/text/3"
    for server in PYTHON:
        greeting = session.deployment.named(server, "greet")
        assert prompts[greeting]["title"] == "Greeting"
        got = session.client.run("prompt", name=greeting, arguments={"who": "Ada"})
        assert got["messages"] == [{"role": "user", "content": {"type": "text", "text": "Hello Ada!"}}]


@pytest.mark.parametrize("server", SERVERS)
def test_arguments_are_completed(session: ClientSession, server: str) -> None:
    name, argument = ("completable-prompt", "department") if server == "everything" else ("greet", "who")
    value, values = ("S", ["Sales", "Support"]) if server == "everything" else ("A", ["Ada", "Alan"])
    ref = {"type": "ref/prompt", "name": session.deployment.named(server, name)}
    result = session.client.run("complete", ref=ref, argument={"name": argument, "value": value})
    assert result["completion"] == {"values": values, "total": 2, "hasMore": False}


def test_the_context_of_a_completion_is_passed_on(session: ClientSession) -> None:
    ref = {"type": "ref/prompt", "name": session.deployment.named("everything", "completable-prompt")}
    argument, context = {"name": "name", "value": ""}, {"department": "Sales"}
    result = session.client.run("complete", ref=ref, argument=argument, context=context)
    assert result["completion"]["values"] == ["David", "Eve", "Frank"]
    ref = {"type": "ref/resource", "uri": "demo://resource/dynamic/text/{resourceId}"}
    result = session.client.run("complete", ref=ref, argument={"name": "resourceId", "value": "7"})
    assert result["completion"]["values"] == ["7"]


def test_resources_and_templates_are_listed_and_read(session: ClientSession) -> None:
    resources = {item["uri"]: item for item in session.client.run("resources")["resources"]}
    templates = {item["uriTemplate"] for item in session.client.run("templates")["resourceTemplates"]}
    assert "demo://resource/static/document/architecture.md" in resources
    assert "demo://resource/dynamic/text/{resourceId}" in templates
    (document,) = session.client.run("read", uri="demo://resource/static/document/architecture.md")["contents"]
    assert document["mimeType"] == "text/markdown"
    assert document["text"].startswith("# Everything Server")
    (blob,) = session.client.run("read", uri="demo://resource/dynamic/blob/1")["contents"]
    assert base64.b64decode(blob["blob"]).startswith(b"Resource 1")
    for server in PYTHON:
        assert resources[f"note://{server}/today"]["mimeType"] == "text/plain"
        assert f"note://{server}/days/{{day}}" in templates
        (note,) = session.client.run("read", uri=f"note://{server}/days/monday")["contents"]
        assert (note["uri"], note["text"]) == (f"note://{server}/days/monday", "the note of monday")
