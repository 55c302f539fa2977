"""Shapes of JSON values, for the repair of others.

A shape returns the value itself if it fits, so that what is valid stays as it is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Final, Protocol


class _Nothing(Enum):
    NOTHING = 0


NOTHING: Final = _Nothing.NOTHING
"""What a shape returns in the place of a value that is to be left out."""

Predicate = Callable[[Any], bool]


class Shape(Protocol):
    """What a value should look like."""

    def repair(self, value: Any) -> Any:
        """Return the value if it fits; else a repaired one, or `NOTHING`."""
        ...


@dataclass(frozen=True, slots=True)
class Plain:
    """A value that fits or is left out."""

    fits: Predicate

    def repair(self, value: Any) -> Any:
        """Return the value if it fits."""
        return value if self.fits(value) else NOTHING


@dataclass(frozen=True, slots=True)
class Guard:
    """A shape for values that fit; others are left out."""

    fits: Predicate
    shape: Shape

    def repair(self, value: Any) -> Any:
        """Return what the shape makes of a value that fits."""
        return self.shape.repair(value) if self.fits(value) else NOTHING


@dataclass(frozen=True, slots=True)
class FirstOf:
    """The first of two shapes that leaves something of a value."""

    first: Shape
    second: Shape

    def repair(self, value: Any) -> Any:
        """Return what one of the shapes makes of a value."""
        repaired = self.first.repair(value)
        return self.second.repair(value) if repaired is NOTHING else repaired


@dataclass(frozen=True, slots=True)
class ListOf:
    """A list, without the items that do not fit.

    A list of which nothing remains is left out: an empty `audience` says something else than none.
    """

    item: Shape

    def repair(self, value: Any) -> Any:
        """Return the list, or what fits of it."""
        if not isinstance(value, list):
            return NOTHING
        repaired = list(map(self.item.repair, value))
        if all(new is old for new, old in zip(repaired, value, strict=True)):
            return value
        return [item for item in repaired if item is not NOTHING] or NOTHING


@dataclass(frozen=True, slots=True)
class MapOf:
    """An object with values of one shape, and allowed names."""

    value: Shape
    allows: Callable[[str], bool] = lambda _: True

    def repair(self, value: Any) -> Any:
        """Return the object, or what fits of it."""
        if not isinstance(value, dict):
            return NOTHING
        return replace_members(value, lambda name: self.value if self.allows(name) else NEVER)


@dataclass(frozen=True, slots=True)
class Members:
    """An object with certain members; others are left as they are.

    Without its `required` members it is left out.
    """

    optional: Mapping[str, Shape]
    required: Mapping[str, Shape] = field(default_factory=dict)

    def repair(self, value: Any) -> Any:
        """Return the object, or what fits of it."""
        if not isinstance(value, dict):
            return NOTHING
        if any(shape.repair(value.get(name)) is NOTHING for name, shape in self.required.items()):
            return NOTHING
        return replace_members(value, self.optional.get)


def replace_members(value: dict[str, Any], shape_of: Callable[[str], Shape | None]) -> dict[str, Any]:
    """Return an object with its members repaired.

    It is the same object if all of them fit.
    """
    changed: dict[str, Any] = {}
    for name, member in value.items():
        shape = shape_of(name)
        if shape is not None and (repaired := shape.repair(member)) is not member:
            changed[name] = repaired
    if not changed:
        return value
    return {name: member for name, member in {**value, **changed}.items() if member is not NOTHING}


def is_object(value: Any) -> bool:
    """Whether a value is a JSON object."""
    return isinstance(value, dict)


def is_text(value: Any) -> bool:
    """Whether a value is a JSON string."""
    return isinstance(value, str)


def is_number(value: Any) -> bool:
    """Whether a value is a JSON number."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def is_integer(value: Any) -> bool:
    """Whether a value is a JSON number without a fraction."""
    return is_number(value) and (isinstance(value, int) or value.is_integer())


TEXT = Plain(is_text)
BOOLEAN = Plain(lambda value: isinstance(value, bool))
NUMBER = Plain(is_number)
INTEGER = Plain(is_integer)
OBJECT = Plain(is_object)
LIST = Plain(lambda value: isinstance(value, list))
NEVER = Plain(lambda _: False)


def one_of(*values: str) -> Plain:
    """Return the shape of one of these texts."""
    return Plain(lambda value: isinstance(value, str) and value in values)
