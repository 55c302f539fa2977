"""Problems in words: the key is named, the value never, nor what may be a value in the place of a key."""

from __future__ import annotations

import pytest
from pydantic import BaseModel, Field, HttpUrl, ValidationError, model_validator

from mcp_gateway.config.validation_errors import format_validation_error


class Model(BaseModel):
    name: str
    url: HttpUrl | None = None
    port: int = 1
    headers: dict[str, int] = Field(default_factory=dict, alias="auth_headers")

    @model_validator(mode="after")
    def _not_two(self) -> Model:
        if self.port == 2:
            raise ValueError("port: anything but two")
        return self


@pytest.mark.parametrize(
    "given, words",
    [
        ({"port": "S3CRET"}, "port: it must be a whole number"),
        ({"auth_headers": {"X-Key": None}}, "auth_headers.X-Key: it must be a whole number"),
        (
            {"auth_headers": {"Bearer S3CRET": None}},
            "auth_headers.(a key that is not shown): it must be a whole number",
        ),
        ({"port": 2}, "port: anything but two"),
        ({}, "name: it is missing"),
        ({"url": "S3CRET/mcp"}, "url: it must be a whole URL, such as https://example.org/mcp"),
    ],
)
def test_a_problem_names_its_key_and_no_value(given, words):
    with pytest.raises(ValidationError) as caught:
        Model.model_validate({"name": "x", **given} if given else {})
    assert format_validation_error(caught.value) == words
