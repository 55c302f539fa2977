"""The fields of a form that a server asks for."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mcp_gateway_cli.calls.schema_check import SchemaUnusable, find_argument_problems
from mcp_gateway_cli.calls.schema_types import describe_type, properties_of, required_of, types_of

Json = dict[str, Any]

_TRUE = {"y": True, "yes": True, "true": True, "n": False, "no": False, "false": False}


@dataclass(frozen=True, slots=True)
class FormField:
    """A field of a form: a string, number or boolean, or choices."""

    name: str
    schema: Mapping[str, Any]
    is_required: bool

    @property
    def choices(self) -> dict[str, str]:
        """The values that may be chosen, with how they are called."""
        holder = self.schema.get("items") if self.takes_many else self.schema
        return _read_choices(holder if isinstance(holder, dict) else {})

    @property
    def takes_many(self) -> bool:
        """Whether several values may be chosen."""
        return self.schema.get("type") == "array"

    @property
    def prompt(self) -> str:
        """What the person is asked."""
        title = str(self.schema.get("title") or self.name)
        about = self.schema.get("description")
        words = f"{title} ({about})" if about and about != title else title
        if self.choices:
            labels = (value if label == value else f"{value} = {label}" for value, label in self.choices.items())
            words += f" [{'several of, with commas' if self.takes_many else 'one of'}: {', '.join(labels)}]"
        else:
            words += f" [{describe_type(self.schema, self.schema)}]"
        if "default" in self.schema:
            words += f" [{json.dumps(self.schema['default'], ensure_ascii=False)}]"
        return f"{words}{'' if self.is_required else ' (optional)'}: "

    def read(self, text: str) -> Json:
        """Read an answer; return it by the field's name.

        Nothing is returned for an optional field that is left out.

        Raises:
            ValueError: it does not fit; the message says why.

        """
        if not text:
            return self._read_nothing()
        value = self._read_many(text) if self.takes_many else self._read_one(text)
        try:
            problems = find_argument_problems({self.name: value}, {"properties": {self.name: dict(self.schema)}})
        except SchemaUnusable:
            problems = []
        if problems:
            raise ValueError("; ".join(problems))
        return {self.name: value}

    def _read_nothing(self) -> Json:
        if "default" in self.schema:
            return {self.name: self.schema["default"]}
        if self.is_required:
            raise ValueError(f"{self.name!r} must be answered")
        return {}

    def _read_many(self, text: str) -> list[Any]:
        return [self._choose(word.strip()) for word in text.split(",") if word.strip()]

    def _read_one(self, text: str) -> Any:
        types = types_of(self.schema, self.schema)
        if self.choices:
            return self._choose(text)
        if "boolean" in types:
            if (word := text.lower()) not in _TRUE:
                raise ValueError(f"{self.name!r} must be yes or no")
            return _TRUE[word]
        if types & {"number", "integer"}:
            return self._read_number(text)
        return text

    def _read_number(self, text: str) -> float:
        try:
            value = float(text)
            return int(value) if value.is_integer() else value
        except (ValueError, OverflowError):
            raise ValueError(f"{self.name!r} must be a number") from None

    def _choose(self, text: str) -> str:
        """Return the value that is meant by itself or by its label."""
        if not self.choices or text in self.choices:
            return text
        named = [value for value, label in self.choices.items() if label.lower() == text.lower()]
        if len(named) != 1:
            raise ValueError(f"{text!r} is none of {', '.join(self.choices)}")
        return named[0]


def read_fields(schema: object) -> list[FormField]:
    """Return the fields that the schema of a form names."""
    required = required_of(schema)
    fields = properties_of(schema)
    return [FormField(name, one if isinstance(one, dict) else {}, name in required) for name, one in fields.items()]


def _read_choices(holder: Mapping[str, Any]) -> dict[str, str]:
    titled = holder.get("oneOf", holder.get("anyOf"))
    if isinstance(titled, list):
        found = [one for one in titled if isinstance(one, dict) and isinstance(one.get("const"), str)]
        return {one["const"]: str(one.get("title", one["const"])) for one in found}
    values = holder.get("enum")
    if not isinstance(values, list):
        return {}
    labels = holder.get("enumNames")
    labels = labels if isinstance(labels, list) and len(labels) == len(values) else values
    return {str(value): str(label) for value, label in zip(values, labels, strict=True)}
