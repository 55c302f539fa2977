"""Questions of servers, answered line by line."""

from __future__ import annotations

from contextlib import nullcontext

import pytest
from mcp_gateway_cli.calls.questions import TerminalQuestions

from mcp_gateway.plugin import ConfigError

pytestmark = pytest.mark.anyio


@pytest.fixture
def ask():
    """Ask a question of a person who types certain lines, and then no more."""

    async def ask_it(params, *lines, method="elicitation/create"):
        typed = iter(lines)
        asked, opened = [], []

        async def read_line(prompt):
            asked.append(prompt)
            return next(typed, None)

        questions = TerminalQuestions("alpha__ask", read_line, nullcontext, opened.append)
        return await questions.answer(method, params), asked, opened

    return ask_it


def form(required=(), **properties):
    return {"message": "Who?", "requestedSchema": {"type": "object", "properties": properties, "required": required}}


async def test_each_field_of_a_form_is_asked(ask, capsys):
    fields = form(
        ["name", "age"],
        name={"type": "string", "title": "Your name"},
        age={"type": "integer", "minimum": 1},
        nick={"type": "string"},
        tea={"type": "boolean", "default": True},
    )
    answer, asked, _ = await ask(fields, "Ada", "many", "0", "36", "", "")
    assert answer == {"action": "accept", "content": {"name": "Ada", "age": 36, "tea": True}}
    assert asked[0] == "Your name [string]: "
    assert asked[-1] == "tea [boolean] [true] (optional): "
    told = capsys.readouterr().err
    assert "alpha__ask asks:\nWho?\n" in told
    assert "'age' must be a number" in told
    assert "0 is less than the minimum of 1" in told


@pytest.mark.parametrize(
    "schema, line, value",
    [
        ({"type": "string", "enum": ["r", "g"], "enumNames": ["Red", "Green"]}, "green", "g"),
        ({"type": "string", "oneOf": [{"const": "r", "title": "Red"}, {"const": "g"}]}, "Red", "r"),
        ({"type": "array", "items": {"enum": ["r", "g", "b"]}}, "r, b", ["r", "b"]),
        ({"type": "array", "items": {"anyOf": [{"const": "r", "title": "Red"}]}}, "red", ["r"]),
        ({"type": "boolean"}, "No", False),
        ({"type": "number"}, "1.5", 1.5),
    ],
)
async def test_a_choice_is_taken_by_value_or_name(ask, schema, line, value):
    answer, asked, _ = await ask(form(["x"], x=schema), "what?!" if schema["type"] != "array" else "", line)
    assert (answer["content"], len(asked)) == ({"x": value}, 2)


async def test_what_is_required_is_asked_again_and_the_end_declines(ask):
    answer, asked, _ = await ask(form(["x"], x={"type": "string"}), "", "")
    assert (answer, len(asked)) == ({"action": "decline"}, 3)


@pytest.mark.parametrize("lines, action", [(["maybe", "y"], "accept"), (["no"], "decline"), ([], "decline")])
async def test_a_form_without_fields_is_agreed_to(ask, lines, action):
    assert (await ask({"message": "Sure?"}, *lines))[0]["action"] == action


async def test_a_page_is_opened_only_with_consent(ask, capsys):
    page = {"mode": "url", "url": "https://example.com/x", "message": "Log in"}
    assert await ask(page, "y", "") == (
        {"action": "accept"},
        ["open it? [y/n] ", "press Enter when you are done there, Ctrl-D to give up: "],
        ["https://example.com/x"],
    )
    assert "the page is at example.com:\n  https://example.com/x\n" in capsys.readouterr().err
    await ask({**page, "url": "https://example.com@evil.example/"}, "n")
    assert "the page is at evil.example:" in capsys.readouterr().err
    answer, _, opened = await ask(page, "n")
    assert (answer, opened) == ({"action": "decline"}, [])
    assert (await ask(page, "y"))[0] == {"action": "decline"}


@pytest.mark.parametrize("url", ["file:///etc/passwd", "javascript:alert(1)", "-x", "", None, "http://["])
async def test_what_is_no_page_is_not_opened(ask, url):
    answer, _, opened = await ask({"mode": "url", "url": url, "message": "x"}, "y", "")
    assert (answer, opened) == ({"action": "decline"}, [])


async def test_what_nobody_can_answer_is_an_error(ask):
    with pytest.raises(ConfigError, match="which a command line cannot answer"):
        await ask({}, method="sampling/createMessage")
