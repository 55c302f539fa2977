"""Two tokens in one request: the same one counts, whether it was checked before or not."""

import time
from typing import Any

from mcp.server.auth.provider import AccessToken
from mcp_gateway_transport_http.auth.oauth import OAuthResourceServer
from mcp_gateway_transport_http.options import ListenOptions

OPTIONS = {"GATEWAY_AUTH_ISSUER": "https://issuer.example", "GATEWAY_AUTH_AUDIENCE": "https://gate.example/mcp"}


def make_resource_server(*known: str) -> OAuthResourceServer:
    """Make a resource server that has checked these tokens a moment ago."""
    found = OAuthResourceServer.from_options(ListenOptions.model_validate(OPTIONS))
    assert found is not None
    for name in known:
        access = AccessToken(
            token=name,
            client_id="x",
            scopes=[],
            expires_at=int(time.time()) + 3600,
            subject=name,
            claims={"iss": "i"},
        )
        found.tokens._cache[name] = access
    return found


def subject_of(found: OAuthResourceServer, *sent: str) -> str | None:
    scope: Any = {"type": "http", "path": "/mcp", "headers": []}
    admission = found.decide(scope, sent)
    return None if admission is None or admission.principal is None else admission.principal.subject


def test_the_first_token_counts_if_it_was_checked():
    assert subject_of(make_resource_server("alice", "bob"), "alice", "bob") == "alice"
    assert subject_of(make_resource_server("alice", "bob"), "", "bob") == "bob"


def test_a_second_token_is_not_taken_because_the_first_was_not_checked_yet():
    assert (
        subject_of(make_resource_server("bob"), "alice", "bob") is None
    )  # then the first is checked, and alice is let in
