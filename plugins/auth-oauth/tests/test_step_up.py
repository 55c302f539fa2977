"""More scopes than a login has: a login that asks for all of them, and no second one for the same (SEP-2350)."""

import pytest
from mcp_gateway_auth_oauth.deferred_strategy import open_strategy
from starlette.responses import JSONResponse, Response

from mcp_gateway.plugin import ANONYMOUS, AuthError, LoginRequired

from .support import browse, find_link, log_in


def insufficient(scope):
    return 'Bearer error="insufficient_scope"' + (f', scope="{scope}"' if scope else "")


async def test_the_next_login_asks_for_what_was_granted_and_what_is_wanted(world, tmp_path):
    options = world.options(tmp_path)
    await log_in(options)
    async with open_strategy(options) as strategy:
        before = await strategy.credentials(ANONYMOUS)
        assert not strategy.is_login_pending()
        for scope in ("write", "delete"):
            with pytest.raises(LoginRequired, match=f"needs a login for more \\({scope}\\): open http://127"):
                await strategy.answer_challenge(before, 403, insufficient(scope))
        # For other requests the token is as good as before.
        assert await strategy.credentials(ANONYMOUS) == before
        assert strategy.is_login_pending()
    # Another process knows of it, as the command `login` is one.
    await log_in(options)
    assert world.last("authorize")["scope"] == "read write delete"
    async with open_strategy(options) as strategy:
        assert not strategy.is_login_pending()
        after = await strategy.credentials(ANONYMOUS)
        assert after != before
        # It was asked for: another login could not help.
        with pytest.raises(AuthError, match="the last login has asked for already") as caught:
            await strategy.answer_challenge(after, 403, insufficient("write"))
        assert not isinstance(caught.value, LoginRequired)
        assert not strategy.is_login_pending()
        # Who still has the token of before gets the new one.
        assert await strategy.answer_challenge(before, 403, insufficient("write"))
    assert world.counted()["authorize"] == 2


async def test_a_link_that_is_shown_leads_to_the_wider_login(world, tmp_path):
    async with open_strategy(world.options(tmp_path)) as strategy:
        await browse(await find_link(strategy))
        with pytest.raises(LoginRequired) as caught:
            await strategy.answer_challenge(await strategy.credentials(ANONYMOUS), 403, insufficient("write"))
        assert (await browse(caught.value.url)).status_code == 200
        assert world.last("authorize")["scope"] == "read write"
        assert not strategy.is_login_pending()


async def test_a_challenge_without_scopes_means_those_of_the_metadata(world, tmp_path):
    world.supported = ["read", "admin"]
    async with open_strategy(world.options(tmp_path)) as strategy:
        await browse(await find_link(strategy))
        credentials = await strategy.credentials(ANONYMOUS)
        with pytest.raises(LoginRequired, match=r"\(read admin\)"):
            await strategy.answer_challenge(credentials, 403, insufficient(""))
        world.supported = None
        with pytest.raises(AuthError, match="does not say which"):
            await strategy.answer_challenge(credentials, 403, insufficient(""))


async def test_configured_scopes_are_not_exceeded_and_the_error_says_what_to_add(world, tmp_path):
    options = world.options(tmp_path, scopes="read list")
    await log_in(options)
    assert world.last("authorize")["scope"] == "read list"
    async with open_strategy(options) as strategy:
        with pytest.raises(AuthError, match='add write to "scopes" in its entry') as caught:
            await strategy.answer_challenge(await strategy.credentials(ANONYMOUS), 403, insufficient("read write"))
        assert not isinstance(caught.value, LoginRequired)
        assert not strategy.is_login_pending()
    async with open_strategy(world.options(tmp_path, scopes="read list write")) as strategy:
        with pytest.raises(LoginRequired):
            await strategy.answer_challenge(await strategy.credentials(ANONYMOUS), 403, insufficient("write"))


@pytest.mark.parametrize("status, challenge", [(403, ""), (403, 'Bearer error="invalid_token"'), (403, "Basic x=y")])
async def test_any_other_refusal_is_left_as_it_is(world, tmp_path, status, challenge):
    async with open_strategy(world.options(tmp_path)) as strategy:
        await browse(await find_link(strategy))
        credentials = await strategy.credentials(ANONYMOUS)
        assert await strategy.answer_challenge(credentials, status, challenge) is False
        assert await strategy.credentials(ANONYMOUS) == credentials


async def test_a_login_that_is_made_anew_keeps_the_scopes(world, tmp_path):
    async with open_strategy(world.options(tmp_path)) as strategy:
        await browse(await find_link(strategy))
        world.answers["token"] = JSONResponse({"error": "invalid_grant"}, 400)
        world.scope = "list"
        assert await strategy.answer_challenge(await strategy.credentials(ANONYMOUS), 401, world.challenge) is False
        del world.answers["token"]
        await browse(await find_link(strategy))
        assert world.last("authorize")["scope"] == "read list"


async def test_without_scopes_of_the_server_none_are_asked_for(world, tmp_path):
    world.scope, world.metadata = "", {"scopes_supported": ["read", "everything", "offline_access"]}
    assert (await log_in(world.options(tmp_path))).status_code == 200
    assert "scope" not in world.last("authorize")


async def test_a_server_that_lets_the_first_request_pass_is_logged_in_to(world, tmp_path):
    world.answers["mcp"] = Response("{}")
    world.supported = ["read"]
    assert (await log_in(world.options(tmp_path))).status_code == 200
    assert world.last("authorize")["scope"] == "read"


async def test_a_server_that_wants_no_login_and_names_none_is_not_logged_in_to(world, tmp_path):
    world.answers |= {"mcp": Response("{}"), "resource": Response(status_code=404)}
    page = await log_in(world.options(tmp_path))
    assert page.status_code == 502
    assert "did not ask for a login" in page.text
    assert not world.counted()


async def test_client_credentials_get_a_token_for_more_at_once(world, tmp_path):
    secret = {"grant": "client_credentials", "client_id": "machine", "client_secret": "s"}
    async with open_strategy(world.options(tmp_path, **secret, issuer=world.issuer("one"))) as strategy:
        before = await strategy.credentials(ANONYMOUS)
        assert await strategy.answer_challenge(before, 403, insufficient("write"))
        assert world.last("token")["scope"] == "read write"
        after = await strategy.credentials(ANONYMOUS)
        assert after != before
        with pytest.raises(AuthError, match="has asked for already"):
            await strategy.answer_challenge(after, 403, insufficient("write"))
        assert await strategy.answer_challenge(after, 401, "")
        assert world.last("token")["scope"] == "read write"
