"""No words of the library that validates reach a person, whatever is wrong in a file, a variable or an argument."""

from __future__ import annotations

import re
from typing import Any

import pytest
from pydantic import BaseModel, ValidationError

from mcp_gateway.config.server_file import ServerEntry
from mcp_gateway.config.settings import Environment
from mcp_gateway.config.validation_errors import format_validation_error
from mcp_gateway.plugin import Options
from mcp_gateway.plugin_host.loader import Choice, load_plugins
from mcp_gateway.plugin_host.providers import Providers

FOREIGN = re.compile(
    r"input should|value error|assertion|pydantic|valid (string|integer|boolean|number|list|dictionary|tuple|url)"
    r"|unable to|instance of|type=|should (match|have|be)\b|cannot be used as it is|permitted|\bdict\b|\bstr\b",
    re.IGNORECASE,
)
WRONG: tuple[Any, ...] = (
    None, True, -1, 0, 10**400, 0.5, float("nan"), float("inf"), "", "soon", "ftp://x", "http://", "a\nb", "\ud800",
    "x" * 100_000, [], [1], [[]], {}, {"a": 1}, {1: 2}, {"a": {}}, {"": [""]}, object(),
)  # fmt: skip


def models() -> list[type[BaseModel]]:
    providers = Providers.of(load_plugins(Choice()))
    options: set[type[Options]] = {one.options for shelf in providers.shelves for one in shelf.providers.values()}
    return [ServerEntry, Environment, *sorted(options, key=lambda model: model.__name__)]


@pytest.mark.parametrize("model", models(), ids=lambda model: model.__name__)
def test_every_wrong_value_of_every_key_is_described_in_plain_words(model: type[BaseModel]) -> None:
    said: set[str] = set()
    for name, field in model.model_fields.items():
        for value in WRONG:
            try:
                model.model_validate({"name": "a", field.alias or name: value})
            except ValidationError as error:
                said.add(format_validation_error(error))
    assert [line for line in said if FOREIGN.search(line)] == []
    assert not [line for line in said if "\n" in line or not line.strip()]
