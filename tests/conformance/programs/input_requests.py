"""Tools and prompts that ask back, in both eras: by requests to the client, or by a result that asks for input."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import anyio
import mcp_types as types
from definitions import Json, text
from mcp.server import ServerRequestContext
from mcp.shared.exceptions import MCPError
from mcp.shared.message import ServerMessageMetadata
from mcp_types.version import LATEST_MODERN_VERSION

Questions = dict[str, Json]
Answers = dict[str, Any]
Context = ServerRequestContext[Any]

KINDS: dict[str, tuple[Any, Any, str]] = {
    "elicitation/create": (types.ElicitRequest, types.ElicitResult, "elicitation"),
    "sampling/createMessage": (types.CreateMessageRequest, types.CreateMessageResult, "sampling"),
    "roots/list": (types.ListRootsRequest, types.ListRootsResult, "roots"),
}
"""For each kind of question: the request, the answer, and the capability of clients that can answer."""


def form(message: str, **properties: Json) -> Json:
    """Ask the user to fill in a form."""
    schema = {"type": "object", "properties": properties, "required": list(properties)}
    return {"method": "elicitation/create", "params": {"message": message, "requestedSchema": schema}}


def sample(prompt: str) -> Json:
    """Ask the client's model."""
    params = {"messages": [{"role": "user", "content": text(prompt)}], "maxTokens": 100}
    return {"method": "sampling/createMessage", "params": params}


ROOTS: Json = {"method": "roots/list", "params": {}}
STRING: Json = {"type": "string"}
DEFAULTS: dict[str, Json] = {
    "name": {"type": "string", "default": "John Doe"},
    "age": {"type": "integer", "default": 30},
    "score": {"type": "number", "default": 95.5},
    "status": {"type": "string", "enum": ["active", "inactive", "pending"], "default": "active"},
    "verified": {"type": "boolean", "default": True},
}
OPTIONS = ["option1", "option2", "option3"]
TITLED = [{"const": f"value{number}", "title": f"Choice {number}"} for number in (1, 2, 3)]
ENUMS: dict[str, Json] = {
    "untitledSingle": {"type": "string", "enum": OPTIONS},
    "titledSingle": {"type": "string", "oneOf": TITLED},
    "legacyEnum": {"type": "string", "enum": ["opt1", "opt2"], "enumNames": ["Option One", "Option Two"]},
    "untitledMulti": {"type": "array", "items": {"type": "string", "enum": OPTIONS}},
    "titledMulti": {"type": "array", "items": {"anyOf": TITLED}},
}


@dataclass(frozen=True)
class Conversation:
    """Rounds of questions; `stateful` ones give a modern client a state to send back."""

    rounds: tuple[Callable[[Json], Questions], ...]
    stateful: bool = False
    adapts: bool = False
    """Whether questions that the client cannot answer are left out; else they are an error."""


def _rounds(*rounds: Questions, stateful: bool = False, adapts: bool = False) -> Conversation:
    return Conversation(tuple(lambda _, asked=asked: asked for asked in rounds), stateful, adapts)


_NAME = form("What is your name?", name=STRING)
_CONFIRM = form("Please confirm", ok={"type": "boolean"})
_ALL = {"user_name": _NAME, "greeting": sample("Generate a greeting"), "client_roots": ROOTS}
CONVERSATIONS: dict[str, Conversation] = {
    "test_sampling": Conversation((lambda given: {"reply": sample(given["prompt"])},)),
    "test_elicitation": Conversation(
        (lambda given: {"reply": form(given["message"], username=STRING, email=STRING)},),
    ),
    "test_elicitation_sep1034_defaults": _rounds({"user": form("Please check", **DEFAULTS)}),
    "test_elicitation_sep1330_enums": _rounds({"choices": form("Please choose", **ENUMS)}),
    "test_streaming_elicitation": _rounds({"user_name": _NAME}),
    "test_missing_capability": _rounds({"greeting": sample("Generate a greeting")}),
    "test_input_required_result_elicitation": _rounds({"user_name": _NAME}),
    "test_input_required_result_sampling": _rounds({"capital_question": sample("What is the capital of France?")}),
    "test_input_required_result_list_roots": _rounds({"client_roots": ROOTS}),
    "test_input_required_result_request_state": _rounds({"confirm": _CONFIRM}, stateful=True),
    "test_input_required_result_tampered_state": _rounds({"confirm": _CONFIRM}, stateful=True),
    "test_input_required_result_multiple_inputs": _rounds(_ALL, stateful=True),
    "test_input_required_result_capabilities": _rounds(_ALL, adapts=True),
    "test_input_required_result_multi_round": _rounds(
        {"step1": form("Step 1: What is your name?", name=STRING)},
        {"step2": form("Step 2: What is your favorite color?", color=STRING)},
        stateful=True,
    ),
    "test_input_required_result_prompt": _rounds({"user_context": form("What context?", context=STRING)}),
}


async def converse(
    context: Context, params: types.InputResponseRequestParams, name: str, arguments: Json
) -> Answers | types.InputRequiredResult:
    """Ask what a tool or prompt asks; return all answers, or what a modern client has yet to answer.

    Raises:
        MCPError: the client did not declare that it can answer.

    """
    conversation = CONVERSATIONS[name]
    rounds = [_answerable(context, asks(arguments), conversation) for asks in conversation.rounds]
    if context.protocol_version == LATEST_MODERN_VERSION:
        return _heard(params, rounds, stateful=conversation.stateful)
    answers: Answers = {}
    for questions in rounds:
        async with anyio.create_task_group() as tasks:
            for key, question in questions.items():
                tasks.start_soon(_ask, context, key, question, answers)
    return answers


def _answerable(context: Context, questions: Questions, conversation: Conversation) -> Questions:
    declared = context.session.client_capabilities
    needed = {key: KINDS[question["method"]][2] for key, question in questions.items()}
    missing = {key: each for key, each in needed.items() if getattr(declared, each, None) is None}
    if missing and not conversation.adapts:
        data = {"requiredCapabilities": {capability: {} for capability in missing.values()}}
        raise MCPError(types.MISSING_REQUIRED_CLIENT_CAPABILITY, "The client cannot answer", data)
    return {key: question for key, question in questions.items() if key not in missing}


def _heard(
    params: types.InputResponseRequestParams, rounds: list[Questions], *, stateful: bool
) -> Answers | types.InputRequiredResult:
    asked = int(params.request_state or 0) if stateful else len(rounds)
    answers = params.input_responses or {}
    questions = rounds[asked - 1] if asked else {}
    open_ = {key for key, each in questions.items() if not isinstance(answers.get(key), KINDS[each["method"]][1])}
    if not open_ and asked == len(rounds):
        return {key: answers[key] for key in questions}
    number = asked if open_ else asked + 1
    requests = {key: KINDS[each["method"]][0].model_validate(each) for key, each in rounds[number - 1].items()}
    state = str(number) if stateful else None
    return types.InputRequiredResult(input_requests=requests, request_state=state)


async def _ask(context: Context, key: str, question: Json, answers: Answers) -> None:
    request, answer, _ = KINDS[question["method"]]
    about = ServerMessageMetadata(related_request_id=context.request_id)
    answers[key] = await context.session.send_request(request.model_validate(question), answer, metadata=about)


def told(answers: Answers) -> str:
    """Say what was answered."""
    said = [f"{key}: {answer.model_dump_json(by_alias=True, exclude_none=True)}" for key, answer in answers.items()]
    return "; ".join(said)
