"""Providers: the name, options and factory of a plugin's product."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Generic, TypeVar

from pydantic import BaseModel, ConfigDict

if TYPE_CHECKING:
    from mcp_gateway.plugin.ranker_context import RankerContext
    from mcp_gateway.plugin.values import Diagnosis


class Options(BaseModel):
    """Base of a provider's options: frozen, ignoring unknown keys.

    Unknown keys are ignored because the same source has keys of the core and of other plugins.

    The alias of a field is the key that it reads: an environment variable for server transports, rankers and storage
    backends; a key of the server's entry for client transports and auth strategies. An alias that begins with
    `GATEWAY_` is always an environment variable. Wrap secrets in `pydantic.SecretStr`.
    """

    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)

    @classmethod
    def keys(cls) -> frozenset[str]:
        """Return the configuration keys that this model reads."""
        return frozenset(info.alias or name for name, info in cls.model_fields.items())

    @classmethod
    def variables(cls) -> frozenset[str]:
        """Return the keys that are always environment variables.

        They are environment variables for every kind of provider.
        """
        return frozenset(key for key in cls.keys() if key.startswith("GATEWAY_"))  # noqa: SIM118  # a method of ours


OptionsT = TypeVar("OptionsT", bound=Options)
ProductT = TypeVar("ProductT")
ProductT_co = TypeVar("ProductT_co", covariant=True)


@dataclass(frozen=True)
class Bound(Generic[ProductT_co]):
    """A provider with validated options, ready to open.

    Use it as `async with bound.open() as product`.

    `open_in_context` is set if the provider takes a context, and used by `open_in`. `preflight` is the reason for
    which it cannot work on this machine, `caution` a warning of unwise options, `endpoints` the URLs of a server
    transport, `diagnose` looks for the reasons of a failure; see `Provider`.
    """

    name: str
    open: Callable[[], AbstractAsyncContextManager[ProductT_co]]
    open_in_context: Callable[[RankerContext], AbstractAsyncContextManager[ProductT_co]] | None = None
    preflight: Callable[[], str | None] | None = None
    caution: Callable[[], str | None] | None = None
    endpoints: Callable[[], Sequence[str]] | None = None
    diagnose: Callable[[], Awaitable[Sequence[Diagnosis]]] | None = None

    def open_in(self, context: RankerContext) -> AbstractAsyncContextManager[ProductT_co]:
        """Return the unopened product, with context if the provider takes one."""
        return self.open() if self.open_in_context is None else self.open_in_context(context)


@dataclass(frozen=True, kw_only=True)
class Provider(Generic[OptionsT, ProductT]):
    """A named factory of one plugin product, yielded by a hook.

    * `name`: the value that selects it in the configuration.
    * `summary`: one line for people.
    * `build`: takes validated options and returns an async context manager of the product, which is closed with the
      gateway. Import heavy libraries inside `build`, not in the hook's module.
    * `build_in`: for rankers that use another ranker or the storage. The gateway calls it in place of `build`, with a
      `RankerContext`; let `build` call it with `RankerContext.from_installed()`.
    * `preflight`: for the command `check`. Returns in one line why the options cannot work on this machine, for
      example because a program is not installed, else None. It must not start or connect to anything.
    * `caution`: for `check` and the log at start-up. Returns in one line a warning of options that work but are
      unwise, with the setting's name and the remedy, else None.
    * `endpoints`: for server transports. Returns the URLs at which clients reach the gateway with these options, by
      which entries that lead to the gateway itself are known.
    * `diagnose`: for the command `doctor`. Looks for the reasons why the options fail here: it may connect, within some
      seconds, but must not start anything. What it returns takes the place of the error of the failure.
    * `fallback`: for client transports. The name of another one that is tried when a server answers with
      `TransportFault.UNSUPPORTED`. If it reaches the server, that is remembered.
    """

    name: str
    summary: str
    options: type[OptionsT]
    build: Callable[[OptionsT], AbstractAsyncContextManager[ProductT]]
    build_in: Callable[[OptionsT, RankerContext], AbstractAsyncContextManager[ProductT]] | None = None
    preflight: Callable[[OptionsT], str | None] | None = None
    caution: Callable[[OptionsT], str | None] | None = None
    diagnose: Callable[[OptionsT], Awaitable[Sequence[Diagnosis]]] | None = None
    fallback: str = ""
    endpoints: Callable[[OptionsT], Sequence[str]] | None = None

    def bind(self, source: Mapping[str, object], folder: Path | None = None) -> Bound[ProductT]:
        """Validate `source` into options.

        `folder` is that of the file that `source` comes from, in which its relative paths begin.

        Raises:
            pydantic.ValidationError: the options are invalid.

        """
        options = self.options.model_validate(source, context={"folder": folder})
        with_context, obstacle, caution, endpoints = self.build_in, self.preflight, self.caution, self.endpoints
        diagnose = self.diagnose
        return Bound(
            self.name,
            lambda: self.build(options),
            None if with_context is None else lambda around: with_context(options, around),
            None if obstacle is None else lambda: obstacle(options),
            None if caution is None else lambda: caution(options),
            None if endpoints is None else lambda: endpoints(options),
            None if diagnose is None else lambda: diagnose(options),
        )
