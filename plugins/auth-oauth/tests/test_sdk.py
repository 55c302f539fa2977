"""Private names of the SDK's OAuth client: what breaks if they change."""

import inspect

import pytest
from cryptography.fernet import Fernet
from mcp.client.auth import OAuthClientProvider
from mcp.shared.auth import OAuthMetadata
from mcp_gateway_auth_oauth.authorization_code import AuthorizationCodeFlow
from mcp_gateway_auth_oauth.options import OAuthOptions
from mcp_gateway_auth_oauth.vault import TokenStore

URL = "https://crm.example/mcp"


@pytest.mark.parametrize(
    "name, parameters",
    [
        # Else a login that has expired is not renewed, and a person has to log in again.
        ("_initialize", 0),
        ("_refresh_token", 0),
        ("_handle_refresh_response", 1),
        # Else the configured scopes are not asked for.
        ("_perform_authorization", 0),
    ],
)
def test_the_steps_of_a_login_can_be_taken_one_by_one(name, parameters):
    step = getattr(OAuthClientProvider, name)
    assert inspect.iscoroutinefunction(step)
    assert len(inspect.signature(step).parameters) == 1 + parameters


def test_a_login_keeps_the_authorization_server_that_it_came_from(tmp_path):
    # Else the next refresh goes to an address that is guessed.
    store = TokenStore.open("crm", URL, tmp_path, Fernet.generate_key().decode())
    flow = AuthorizationCodeFlow(OAuthOptions(name="crm", url=URL), store, "http://127.0.0.1:1/callback")
    flow.context.oauth_metadata = OAuthMetadata(
        issuer="https://login.example",
        authorization_endpoint="https://login.example/authorize",
        token_endpoint="https://login.example/token",
    )
    store.write(flow._to_login())
    assert store.read().authorization_server == flow.context.oauth_metadata


def test_a_login_can_be_driven_request_by_request():
    # Else the gateway cannot check what is sent, and what comes.
    assert inspect.isasyncgenfunction(OAuthClientProvider._auth_flow)
    assert list(inspect.signature(OAuthClientProvider._auth_flow).parameters) == ["self", "request"]


@pytest.mark.parametrize("name, parameters", [("_select_authorization_server", 1), ("_expected_issuer", 0)])
def test_the_issuer_of_a_login_can_be_asked_and_chosen(name, parameters):
    # Else a client might be used at another issuer than its own.
    assert len(inspect.signature(getattr(OAuthClientProvider, name)).parameters) == 1 + parameters
