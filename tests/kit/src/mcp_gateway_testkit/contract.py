"""Common contract: naming, entry points, opening, and secrets."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping
from importlib.metadata import Distribution, EntryPoint, distributions
from typing import Any, ClassVar, Generic, TypeVar

import pytest
from pydantic import ValidationError

from mcp_gateway.plugin import API_VERSION, PROJECT, Options, Provider

ProductT = TypeVar("ProductT")

SECRET = "s3cr3t"
"""Use this as the value of every secret key of `source`: the contract checks that it is never printed."""

_NAME = re.compile(r"[a-z][a-z0-9]*([-_][a-z0-9]+)*")
_SECRET_NAME = re.compile(r"(?i)(password|secret|token|api_?key)$")
_HEAVY = ("httpx2", "mcp", "numpy", "onnx", "onnxruntime", "redis", "uvicorn")


class InstalledContract:
    """Contract of what is installed: its entry point, and its package."""

    hook: ClassVar[str]
    """The hook of this kind of plugin. Set by the contract."""

    entry_prefix: ClassVar[str]
    """The prefix of this kind's entry-point names. Set by the contract."""

    @property
    def offered_name(self) -> str:
        """The name of what the hook offers."""
        raise NotImplementedError

    def is_mine(self, item: object) -> bool:
        """Whether an item of the hook is what is tested."""
        raise NotImplementedError

    def test_no_promise_is_overridden(self) -> None:
        """Require that no contract test is overridden.

        A subclass may fail a test openly, with xfail and a reason; it may not rewrite one.
        """
        base = next(kind for kind in type(self).__mro__ if kind.__module__.startswith(f"{__package__}."))
        for name in (name for name in dir(base) if name.startswith("test_")):
            mine = getattr(type(self), name)
            marks = getattr(mine, "pytestmark", ())
            excused = any(mark.name == "xfail" and mark.kwargs.get("reason") for mark in marks)
            assert mine is getattr(base, name) or excused, f"{name} is overridden; mark it xfail, with a reason"

    def test_an_installed_entry_point_offers_it(self) -> None:
        """Installing the package is all that a user has to do."""
        assert self._origins(), (
            f"no installed entry point of the group {PROJECT!r} offers {self.offered_name!r} by its hook {self.hook}; "
            "is the package installed, and does its pyproject.toml have the entry point?"
        )

    def test_the_entry_point_is_named_after_its_kind(self) -> None:
        """`GATEWAY_PLUGINS` and `GATEWAY_DISABLED_PLUGINS` go by these names."""
        assert [point.name for _, point in self._origins() if point.name.startswith(f"{self.entry_prefix}-")]

    def test_the_module_says_for_which_api_it_was_written(self) -> None:
        """Without `GATEWAY_API` a plugin is not loaded."""
        for _, point in self._origins():
            assert getattr(point.load(), "GATEWAY_API", None) == API_VERSION

    def test_the_package_pins_the_core_from_both_sides(self) -> None:
        """The API may change with the core's major version: `mcp-gateway-core>=1.0,<2`."""
        for distribution, _ in self._origins():
            pins = [line for line in distribution.requires or () if line.startswith("mcp-gateway-core")]
            assert any(">" in pin and "<" in pin for pin in pins), f"{distribution.name} requires {pins}"

    def test_listing_it_loads_nothing_heavy(self) -> None:
        """Require an entry point module without heavy imports.

        Import the SDK and other large libraries inside `build`: every start of the gateway imports every
        plugin.
        """
        for _, point in self._origins():
            code = f"import sys, {point.module}; print(*(name for name in {_HEAVY} if name in sys.modules))"
            done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
            assert not done.stdout.split(), f"importing {point.module} imports {done.stdout.strip()}"

    def _origins(self) -> list[tuple[Distribution, EntryPoint]]:
        return [(distribution, point) for distribution, point in _entry_points() if self._is_offered_by(point)]

    def _is_offered_by(self, point: EntryPoint) -> bool:
        hook: Callable[[], Iterable[object]] = getattr(point.load(), self.hook, tuple)
        return any(self.is_mine(item) for item in hook())


@pytest.mark.anyio
class Contract(InstalledContract, Generic[ProductT]):
    """Base class of the contracts, one for each plugin kind.

    Subclass the contract of a kind, set `provider`, and perhaps `source`; add nothing else.

    `provider` is what the plugin's hook yields. `source` is the configuration that it is
    opened with: environment variables or keys of a server's entry, as `Options` explains.
    If it is known only at run time, such as a free port, override the fixture
    `configuration` instead. Tests run under anyio, on asyncio, like the gateway.
    """

    provider: ClassVar[Provider[Any, Any]]
    source: ClassVar[Mapping[str, object]] = {}

    @pytest.fixture
    def anyio_backend(self) -> str:
        """Choose asyncio."""
        return "asyncio"

    @pytest.fixture
    def configuration(self) -> Mapping[str, object]:
        """Return the configuration that the plugin is opened with."""
        return self.source

    @pytest.fixture
    async def subject(self, configuration: Mapping[str, object]) -> AsyncIterator[ProductT]:
        """Open the plugin's product."""
        async with self.provider.bind(configuration).open() as product:
            yield product

    def test_the_provider_has_a_plain_name_and_a_summary_of_one_line(self) -> None:
        """Require a plain name and a one-line summary.

        Both are shown by `mcp-orchestration-gateway plugins`; people write the name into configurations.
        """
        assert _NAME.fullmatch(self.provider.name), "lower-case letters, digits, - and _ only"
        assert self.provider.summary.strip()
        assert "\n" not in self.provider.summary

    def test_the_options_are_frozen_options(self) -> None:
        """They derive from `mcp_gateway.plugin.Options`."""
        assert issubclass(self.provider.options, Options)
        assert self.provider.options.model_config.get("frozen")

    def test_every_option_is_described_in_a_json_schema(self) -> None:
        """Editors and `mcp-orchestration-gateway schema` show it."""
        schema = self.provider.options.model_json_schema()
        assert schema["type"] == "object"
        bare = [name for name, option in schema.get("properties", {}).items() if not option.get("description")]
        assert not bare, f"Field(description=...) is missing: {bare}"

    def test_options_that_sound_secret_are_secret(self) -> None:
        """`pydantic.SecretStr` keeps them out of logs and error messages."""
        for name, option in self.provider.options.model_json_schema().get("properties", {}).items():
            text = "'string'" in repr(option)
            assert not (text and _SECRET_NAME.search(name)) or "'password'" in repr(option), f"{name}: use SecretStr"

    async def test_what_is_secret_in_the_configuration_is_never_printed(
        self, configuration: Mapping[str, object]
    ) -> None:
        """Require output without secrets.

        That is the output of the options, of the bound provider, and of the validation error about another,
        wrong key.
        """
        options = self.provider.options.model_validate(configuration)
        printed = [options, self.provider, self.provider.bind(configuration)]
        for key in configuration:
            try:
                self.provider.bind({**configuration, key: object()})
            except ValidationError as error:
                printed.append(error)
        assert not [thing for thing in printed if SECRET in f"{thing!r}{thing!s}"]

    async def test_it_can_be_opened_again(self, configuration: Mapping[str, object]) -> None:
        """Once closed, and beside another one."""
        bound = self.provider.bind(configuration)
        async with bound.open() as first, bound.open() as second:
            assert first is not None
            assert second is not None
        async with bound.open() as third:
            assert third is not None

    async def test_its_hook_offers_the_same_once_it_was_opened(self, configuration: Mapping[str, object]) -> None:
        """Require the same callable providers after the plugin was opened.

        A function in a package's `__init__` vanishes when a module of the same name is imported.
        """
        async with self.provider.bind(configuration).open():
            for _, point in self._origins():
                for provider in getattr(point.load(), self.hook)():
                    assert callable(provider.build), f"{provider.name}: build is {provider.build}"

    @property
    def offered_name(self) -> str:
        """The provider's name."""
        return self.provider.name

    def is_mine(self, item: object) -> bool:
        """Whether an item of the hook is the provider."""
        mine = (self.provider.name, self.provider.options)
        return isinstance(item, Provider) and (item.name, item.options) == mine


def _entry_points() -> Iterator[tuple[Distribution, EntryPoint]]:
    seen: set[EntryPoint] = set()
    for distribution in distributions():
        for point in distribution.entry_points.select(group=PROJECT):
            if point not in seen:
                seen.add(point)
                yield distribution, point
