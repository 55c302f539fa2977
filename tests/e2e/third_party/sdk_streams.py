"""A client transport as a third party writes it: it yields the streams of the SDK's own transports."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass

from mcp.client import Transport
from mcp.client.stdio import StdioServerParameters, stdio_client
from mcp.client.streamable_http import streamable_http_client
from pydantic import Field

from mcp_gateway.plugin import ClientTransport, Credentials, Options, Provider, hookimpl

GATEWAY_API = 1


class SdkStreamsOptions(Options):
    """What is read from the server's entry."""

    command: str = Field("", description="The program of a server that is a process")
    args: list[str] = Field([], description="Its arguments")
    url: str = Field("", description="The address of a server over HTTP, without `command`")


@dataclass(frozen=True)
class SdkStreams:
    """Opens the SDK's transport for every session."""

    options: SdkStreamsOptions
    carries_credentials = False

    def connect(self, credentials: Credentials) -> Transport:
        """Return what opens it."""
        if self.options.url:
            return streamable_http_client(self.options.url)
        return stdio_client(StdioServerParameters(command=self.options.command, args=self.options.args))


@asynccontextmanager
async def open_transport(options: SdkStreamsOptions) -> AsyncIterator[ClientTransport]:
    """Open nothing yet."""
    yield SdkStreams(options)


def build(options: SdkStreamsOptions) -> AbstractAsyncContextManager[ClientTransport]:
    """Return the transport, unopened."""
    return open_transport(options)


@hookimpl
def mcp_gateway_client_transports() -> Iterator[Provider[SdkStreamsOptions, ClientTransport]]:
    """Offer `sdk-streams`."""
    yield Provider(name="sdk-streams", summary="the SDK's streams", options=SdkStreamsOptions, build=build)
