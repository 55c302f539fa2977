"""Diagnosis of URLs that cannot be reached: name, connection, certificate."""

from __future__ import annotations

import socket
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import getproxies

import anyio

from mcp_gateway.plugin.server_url.options import CreateContextFn, UrlOptions
from mcp_gateway.plugin.utilities.network import is_link_local
from mcp_gateway.plugin.utilities.proxies import can_connect_directly
from mcp_gateway.plugin.utilities.tls import classify_tls_error, explain_tls_error
from mcp_gateway.plugin.values import Diagnosis

_PROXY_PORTS = {"https": 443, "socks5": 1080, "socks5h": 1080}

SECONDS = 5.0
"""How long each step may take: the name, the connection, the TLS handshake."""


async def find_diagnoses(options: UrlOptions, create_context: CreateContextFn) -> list[Diagnosis]:
    """Return why a server's URL cannot be reached, if it cannot."""
    if options.socket is not None:
        return await _check_socket(options.socket)
    if not can_connect_directly(str(options.url)):
        return await _check_proxy(options)
    host, port = (options.url.host or "").strip("[]"), options.url.port or 0
    addresses = await _resolve(host, port)
    if isinstance(addresses, Diagnosis):
        return [addresses]
    if not options.allow_link_local and any(map(is_link_local, addresses)):
        return []
    return await _connect(options, host, port, create_context)


async def _check_socket(path: Path) -> list[Diagnosis]:
    try:
        with anyio.fail_after(SECONDS):
            async with await anyio.connect_unix(path):
                return []
    except (OSError, TimeoutError) as error:
        reason = "there is no such socket" if isinstance(error, FileNotFoundError) else "nothing listens at it"
        mend = 'start the server, or correct "socket"'
        return [Diagnosis(code="connection-refused", message=f"{path}: {reason}", mend=mend)]


async def _check_proxy(options: UrlOptions) -> list[Diagnosis]:
    """Return why the proxy of the environment cannot be reached."""
    proxies = getproxies()
    parts = urlsplit(proxies.get(options.url.scheme) or proxies.get("all") or "")
    host, port = parts.hostname or "", parts.port or _PROXY_PORTS.get(parts.scheme, 80)
    try:
        with anyio.fail_after(SECONDS):
            async with await anyio.connect_tcp(host, port):
                return []
    except (OSError, TimeoutError, UnicodeError):
        return [
            Diagnosis(
                code="proxy",
                message=f"the proxy of the environment ({options.url.scheme}_proxy), {host}:{port}, cannot be reached",
                mend=f"correct that variable; or, if {options.url.host} needs no proxy, add it to no_proxy",
            )
        ]


async def _resolve(host: str, port: int) -> list[str] | Diagnosis:
    mend = 'correct the name in "url"; if it is right, look at DNS, VPN and /etc/hosts'
    try:
        with anyio.fail_after(SECONDS):
            found = await anyio.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except TimeoutError:
        message = f"DNS did not answer for {host!r} within {SECONDS:g} s"
        return Diagnosis(code="dns", message=message, mend="look at the network, DNS and VPN of this machine")
    except (OSError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or "it is no name of a host"
        return Diagnosis(code="dns", message=f"the name {host!r} leads nowhere ({reason})", mend=mend)
    return [str(address[4][0]) for address in found]


async def _connect(options: UrlOptions, host: str, port: int, create_context: CreateContextFn) -> list[Diagnosis]:
    try:
        with anyio.fail_after(SECONDS):
            stream = await anyio.connect_tcp(host, port)
    except TimeoutError:
        mend = "look at firewall and VPN, and whether the server's machine is up"
        return [Diagnosis(code="no-answer", message=f"{host}:{port} does not answer within {SECONDS:g} s", mend=mend)]
    except OSError:
        mend = 'start the server, or correct host and port of "url"'
        return [Diagnosis(code="connection-refused", message=f"nothing listens at {host}:{port}", mend=mend)]
    async with stream:
        return [] if options.url.scheme != "https" else await _check_certificate(options, stream, host, create_context)


async def _check_certificate(
    options: UrlOptions, stream: anyio.abc.SocketStream, host: str, create_context: CreateContextFn
) -> list[Diagnosis]:
    from anyio.streams.tls import TLSStream

    context = create_context() if options.tls_files is None else options.tls_files.load(create_context)
    try:
        with anyio.fail_after(SECONDS):
            await TLSStream.wrap(stream, hostname=host, ssl_context=context, standard_compatible=False)
    except TimeoutError:
        message = f"{host} does not answer the TLS handshake within {SECONDS:g} s"
        return [Diagnosis(code="tls-handshake", message=message, mend='is its "url" one with http://?')]
    except (OSError, anyio.BrokenResourceError, anyio.EndOfStream) as error:
        message, _, mend = (explain_tls_error(error) or "it breaks off the TLS handshake").partition("; ")
        code = f"tls-{classify_tls_error(error) or 'handshake'}"
        return [Diagnosis(code=code, message=message, mend=mend or _MENDS.get(code, "look at the server's log"))]
    return []


_MENDS = {
    "tls-expired": "renew the certificate at the server, or ask the person who runs it",
    "tls-revoked": "ask the person who runs the server for a new certificate",
}
