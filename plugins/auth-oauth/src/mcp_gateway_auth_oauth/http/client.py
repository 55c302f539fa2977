"""HTTP client of logins: guarded, bounded, and silent about secrets."""

from __future__ import annotations

import base64
import binascii
import json
import re
import ssl
from collections.abc import Awaitable, Callable, Iterator
from typing import Any, TypeVar
from urllib.parse import parse_qsl, unquote

import anyio
import httpx2
from anyio.abc import TaskGroup
from mcp.client.auth import OAuthFlowError, OAuthRegistrationError, OAuthTokenError
from mcp.client.auth.utils import build_protected_resource_metadata_discovery_urls, create_oauth_metadata_request
from mcp.shared.auth import OAuthClientInformationFull, OAuthToken, ProtectedResourceMetadata
from mcp.shared.auth_utils import check_resource_allowed, resource_url_from_server_url
from pydantic import BaseModel, ValidationError

from mcp_gateway.plugin import ServerUnavailable, TlsFiles
from mcp_gateway_auth_oauth.http.bodies import limit_body
from mcp_gateway_auth_oauth.http.guard import OAuthRequestGuard
from mcp_gateway_auth_oauth.options import OAuthOptions

ResultT = TypeVar("ResultT")

_REQUEST_SECONDS = 30.0
"""How long one request may take in all, however its response trickles."""

_METADATA_SECONDS = 5.0
"""How long the metadata of a server may take before a refresh goes on without it."""

_MAX_REDIRECTS = 5
_MAX_WORDS = 200
_CODE = re.compile(r"[a-z_]{1,64}")
_SECRETS = frozenset({"client_secret", "client_assertion", "code", "code_verifier", "refresh_token"})


class ClientRejected(OAuthTokenError):
    """A client that the authorization server does not know."""


class UnreadableToken(OAuthTokenError):
    """A success of a token endpoint that has no token in it."""


def open_client(options: OAuthOptions) -> httpx2.AsyncClient:
    """Return a client for the login to a server.

    The private authority of its entry is trusted beside those of this machine, since its authorization server may have
    a certificate of either. The gateway's own certificate is for the server itself only.
    """
    url = str(options.url)
    hooks: dict[str, list[Callable[..., Any]]] = {"request": [OAuthRequestGuard(url)], "response": [limit_body]}
    mounts = {}
    if options.cert is not None:
        transport = httpx2.AsyncHTTPTransport(verify=_create_context(options, with_certificate=True))
        mounts[f"https://{options.url.host}:{options.url.port}"] = transport
    return httpx2.AsyncClient(
        timeout=_REQUEST_SECONDS,
        headers={"accept-encoding": "identity"},
        event_hooks=hooks,
        follow_redirects=False,
        verify=_create_context(options, with_certificate=False),
        mounts=mounts,
    )


def _create_context(options: OAuthOptions, *, with_certificate: bool) -> ssl.SSLContext:
    context = httpx2.create_ssl_context()
    if options.ca is not None:
        context.load_verify_locations(cafile=options.ca)
    if with_certificate:
        password = options.key_password.get_secret_value() if options.key_password is not None else None
        TlsFiles(None, options.cert, options.cert_key, password).load(lambda: context)
    return context


async def send_request(
    client: httpx2.AsyncClient, request: httpx2.Request, *, with_body: bool = True
) -> httpx2.Response:
    """Send a request, and read the response, `with_body` or without.

    Redirects are followed within one origin only, and never with another method.

    Raises:
        OAuthFlowError: it led to where it must not.
        httpx2.TransportError: there was no response, or one that took too long.

    """
    try:
        with anyio.fail_after(_REQUEST_SECONDS):
            for _ in range(_MAX_REDIRECTS):
                response = await client.send(request, stream=not with_body)
                await response.aclose()
                following = response.next_request
                if following is None or not _is_same_place(request, following):
                    return response
                request = following
    except TimeoutError:
        raise httpx2.ReadTimeout(f"{request.url.host} did not answer within {_REQUEST_SECONDS:g} s") from None
    raise OAuthFlowError(f"{request.url.host} redirects in a circle")


def _is_same_place(request: httpx2.Request, following: httpx2.Request) -> bool:
    here, there = request.url, following.url
    return request.method == following.method and (here.scheme, here.host, here.port, here.userinfo) == (
        there.scheme,
        there.host,
        there.port,
        there.userinfo,
    )


async def read_resource_metadata(options: OAuthOptions, metadata_url: str = "") -> ProtectedResourceMetadata | None:
    """Return what a server says of its authorization servers now.

    None if it cannot be learned: it does not say so, cannot be reached, or speaks of another resource.
    """
    url = str(options.url)
    with anyio.move_on_after(_METADATA_SECONDS):
        async with open_client(options) as client:
            for place in build_protected_resource_metadata_discovery_urls(metadata_url or None, url):
                try:
                    response = await send_request(client, create_oauth_metadata_request(place))
                    return _parse_metadata(response, url) if response.status_code == httpx2.codes.OK else None
                except ValidationError:
                    continue
                except (httpx2.TransportError, httpx2.InvalidURL, OAuthFlowError):
                    return None
    return None


async def read_supported_scopes(options: OAuthOptions, metadata_url: str = "") -> tuple[str, ...]:
    """Return the scopes that a server's metadata names."""
    found = await read_resource_metadata(options, metadata_url)
    return tuple(found.scopes_supported or ()) if found is not None else ()


def _parse_metadata(response: httpx2.Response, url: str) -> ProtectedResourceMetadata | None:
    found = ProtectedResourceMetadata.model_validate_json(response.content)
    allowed = check_resource_allowed(
        requested_resource=resource_url_from_server_url(url), configured_resource=str(found.resource)
    )
    return found if allowed else None


def check_response(request: httpx2.Request, response: httpx2.Response) -> None:
    """Check the response to a registration or a request for a token.

    The SDK's errors would quote it, and what it quotes of the request.

    Raises:
        ClientRejected: the client is not known.
        UnreadableToken: it is no token, though it says that it is one.
        OAuthTokenError: there is no token.
        OAuthRegistrationError: there is no client.

    """
    if request.method != "POST":
        return
    is_token = request.headers.get("content-type", "").startswith("application/x-www-form-urlencoded")
    if response.status_code in (httpx2.codes.OK, httpx2.codes.CREATED):
        _check_success(response, is_token=is_token)
        return
    code, words = _read_error(request, response)
    reason = f"{code or f'HTTP {response.status_code}'}{f' ({words})' if words else ''}"
    if not is_token:
        raise OAuthRegistrationError(
            f"its authorization server does not register the gateway: {reason}; "
            "register a client there, and set client_id in the server's entry"
        )
    if code == "invalid_client" or (not code and response.status_code == httpx2.codes.UNAUTHORIZED):
        raise ClientRejected(f"its authorization server does not know the client: {reason}")
    raise OAuthTokenError(f"its authorization server gave no token: {reason}")


def _check_success(response: httpx2.Response, *, is_token: bool) -> None:
    model: type[BaseModel] = OAuthToken if is_token else OAuthClientInformationFull
    try:
        model.model_validate_json(response.content)
    except ValidationError as error:
        # Without the values, which may be secrets.
        where = ", ".join(sorted({".".join(map(str, each["loc"])) or "all of it" for each in error.errors()}))
        problem = f"its authorization server's answer cannot be read: {where[:_MAX_WORDS]}"
        raise (UnreadableToken if is_token else OAuthRegistrationError)(problem) from None


def _read_error(request: httpx2.Request, response: httpx2.Response) -> tuple[str, str]:
    """Return code and description of an OAuth error (RFC 6749, section 5.2)."""
    try:
        found = json.loads(response.content)
    except (ValueError, RecursionError):
        return "", ""
    if not isinstance(found, dict):
        return "", ""
    code, words = (to_plain_words(found.get(key)) for key in ("error", "error_description"))
    is_quoting = any(secret in words for secret in _secrets_of(request))
    return code if _CODE.fullmatch(code) else "", "" if is_quoting else words


def to_plain_words(text: object) -> str:
    """Return the beginning of a foreign text, on one line."""
    return (
        " ".join(filter(str.isprintable, text[: 4 * _MAX_WORDS].split()))[:_MAX_WORDS] if isinstance(text, str) else ""
    )


def _secrets_of(request: httpx2.Request) -> Iterator[str]:
    for name, value in parse_qsl(request.content.decode(errors="replace")):
        if name in _SECRETS:
            yield value
    kind, _, packed = request.headers.get("authorization", "").partition(" ")
    if kind == "Basic":
        yield packed
        try:
            secret = base64.b64decode(packed).decode().partition(":")[2]
        except (binascii.Error, ValueError):
            return
        yield unquote(secret)


async def run_to_end(tasks: TaskGroup, operation: Callable[[], Awaitable[ResultT]]) -> ResultT:
    """Run an operation to its end, even if the caller is cancelled.

    A refresh token is good for one use: what came for it must be kept.
    """
    outcome, failure, done = list[ResultT](), list[Exception](), anyio.Event()

    async def run() -> None:
        try:
            outcome.append(await operation())
        except Exception as error:  # noqa: BLE001  # raised where it is waited for
            failure.append(error)
        finally:
            done.set()

    tasks.start_soon(run)
    await done.wait()
    if failure:
        raise failure[0]
    if not outcome:
        raise ServerUnavailable("the gateway is ending")
    return outcome[0]
