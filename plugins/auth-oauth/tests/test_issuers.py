"""Credentials are of one authorization server, and go to no other (SEP-2352); registrations are used again."""

import time

import anyio
import pytest
from mcp_gateway_auth_oauth.deferred_strategy import open_strategy
from mcp_gateway_auth_oauth.vault import TokenStore
from starlette.responses import JSONResponse, RedirectResponse, Response

from mcp_gateway.plugin import ANONYMOUS, AuthError, LoginRequired, ServerUnavailable

from .support import browse, find_link, log_in

UNKNOWN = JSONResponse({"error": "invalid_client"}, 401)


def open_store(world, folder):
    return TokenStore.open("crm", world.url, folder, None)


def expire(world, folder):
    store = open_store(world, folder)
    store.write(store.read().model_copy(update={"expires": time.time() - 1}))


async def is_login_required(strategy):
    try:
        await strategy.credentials(ANONYMOUS)
    except LoginRequired:
        return True
    return False


# -- another authorization server


@pytest.mark.parametrize("how", ["refused", "expired"])
async def test_tokens_of_another_authorization_server_are_dropped_and_a_login_is_asked_for(world, tmp_path, how):
    options = world.options(tmp_path)
    await log_in(options)
    world.servers, world.scope = ["two"], "other"
    async with open_strategy(options) as strategy:
        if how == "refused":
            assert await strategy.answer_challenge(await strategy.credentials(ANONYMOUS), 401, world.challenge) is False
        else:
            expire(world, tmp_path)
        assert await is_login_required(strategy)
        assert (world.counted("one")["token"], world.counted("two")["token"]) == (1, 0)
        await browse(await find_link(strategy))
        assert (await strategy.credentials(ANONYMOUS)).headers["Authorization"].startswith("Bearer two-access-")
    assert world.counted("two")["register"] == 1
    # Nor does it hear of what the other one has granted.
    assert world.last("authorize")["scope"] == "other"
    assert world.last("authorize")["client_id"].startswith("two-")
    assert all("one-" not in str(form) for name, _, form in world.seen if name == "two")


async def test_after_a_return_the_registration_of_before_is_used_again(world, tmp_path):
    options = world.options(tmp_path)
    for name in ("one", "two", "one"):
        world.servers = [name]
        await log_in(options)
        assert world.last("authorize")["client_id"].startswith(f"{name}-")
    assert (world.counted("one")["register"], world.counted("two")["register"]) == (1, 1)


@pytest.mark.parametrize(
    "servers, resource", [(["two", "one"], None), (["two"], Response(status_code=503)), (["two"], Response("{"))]
)
async def test_while_it_is_still_named_or_nothing_is_known_the_login_is_refreshed(world, tmp_path, servers, resource):
    options = world.options(tmp_path)
    await log_in(options)
    world.servers = servers
    world.answers["resource"] = resource
    async with open_strategy(options) as strategy:
        assert await strategy.answer_challenge(await strategy.credentials(ANONYMOUS), 401, world.challenge)
    assert world.last("token")["refresh_token"].startswith("one-")
    assert not world.counted("two")


async def test_metadata_of_another_resource_moves_nothing(world, tmp_path):
    options = world.options(tmp_path)
    await log_in(options)
    foreign = {"resource": "https://evil.example/mcp", "authorization_servers": [world.issuer("two")]}
    world.answers["resource"] = JSONResponse(foreign)
    async with open_strategy(options) as strategy:
        assert await strategy.answer_challenge(await strategy.credentials(ANONYMOUS), 401, world.challenge)
    assert world.counted("one")["token"] == 2


async def test_a_client_that_is_configured_stays_with_the_issuer_that_has_seen_it_first(world, tmp_path):
    options = world.options(tmp_path, client_id="known")
    assert (await log_in(options)).status_code == 200
    world.servers = ["two"]
    page = await log_in(options)
    assert page.status_code == 502
    assert "not the issuer in its entry, or of the client_id there" in page.text
    assert not {"register", "authorize", "token"} & set(world.counted("two"))
    assert (await log_in(world.options(tmp_path, client_id="known", issuer=world.issuer("two")))).status_code == 200
    assert world.counted("two")["authorize"] == 1


async def test_of_several_authorization_servers_the_configured_one_is_used(world, tmp_path):
    world.servers = ["one", "two"]
    options = world.options(tmp_path, client_id="c", client_secret="s", issuer=world.issuer("two"))
    assert (await log_in(options)).status_code == 200
    assert not world.counted("one")
    world.servers = ["one"]
    assert "not the issuer" in (await log_in(options)).text
    assert not {"register", "authorize", "token"} & set(world.counted("one"))


async def test_a_metadata_document_is_a_client_everywhere(world, tmp_path):
    options = world.options(tmp_path, client_id="https://gateway.example/client.json")
    for name in ("one", "two"):
        world.servers = [name]
        assert (await log_in(options)).status_code == 200
        assert world.counted(name)["authorize"] == 1
        assert world.last("token")["client_id"] == "https://gateway.example/client.json"
        assert "register" not in world.counted(name)


# -- registrations


async def test_every_login_uses_the_same_registration(world, tmp_path):
    for _ in range(3):
        assert (await log_in(world.options(tmp_path))).status_code == 200
    assert world.counted()["register"] == 1
    redirects = {form["redirect_uri"] for _, endpoint, form in world.seen if endpoint == "authorize"}
    assert len(redirects) == 1


async def test_a_registration_of_which_little_is_said_is_used_again(world, tmp_path):
    world.answers["register"] = JSONResponse({"client_id": "terse"}, 201)
    for _ in range(2):
        assert (await log_in(world.options(tmp_path))).status_code == 200
    assert world.counted()["register"] == 1


async def test_a_login_of_an_earlier_version_is_bound_to_its_authorization_server_by_a_refresh(world, tmp_path):
    options = world.options(tmp_path, client_id="known")
    await log_in(options)
    store = open_store(world, tmp_path)
    login = store.read()
    store.write(
        login.model_copy(update={"client": login.client.model_copy(update={"issuer": None}), "requested": None})
    )
    async with open_strategy(options) as strategy:
        assert await strategy.answer_challenge(await strategy.credentials(ANONYMOUS), 401, world.challenge)
    assert store.read().client.issuer == world.issuer("one")
    assert (await log_in(options)).status_code == 200


async def test_without_metadata_of_the_server_the_configured_issuer_is_not_passed_by(world, tmp_path):
    world.answers["resource"] = Response(status_code=404)
    page = await log_in(world.options(tmp_path, issuer="https://login.example"))
    assert "not the issuer in its entry" in page.text
    assert not {"register", "authorize", "token"} & {endpoint for _, endpoint, _ in world.seen}


async def test_two_gateways_that_wait_for_a_login_have_a_port_and_a_registration_each(world, tmp_path):
    options = world.options(tmp_path)
    for _ in range(2):
        async with open_strategy(options) as first, open_strategy(options) as second:
            links = [await find_link(strategy) for strategy in (first, second)]
            for link in links:
                assert (await browse(link)).status_code == 200
        store = open_store(world, tmp_path)
        store.write(store.read().without_tokens())
    assert world.counted()["register"] == 2


async def test_a_client_that_is_forgotten_at_the_token_endpoint_is_registered_anew(world, tmp_path):
    options = world.options(tmp_path)
    await log_in(options)
    world.answers["token"] = UNKNOWN
    assert "does not know the client" in (await log_in(options)).text
    del world.answers["token"]
    assert (await log_in(options)).status_code == 200
    assert world.counted()["register"] == 2


async def test_a_client_that_is_forgotten_at_a_refresh_is_registered_anew(world, tmp_path):
    options = world.options(tmp_path)
    await log_in(options)
    world.answers["token"] = UNKNOWN
    async with open_strategy(options) as strategy:
        assert await strategy.answer_challenge(await strategy.credentials(ANONYMOUS), 401, world.challenge) is False
        assert await is_login_required(strategy)
        del world.answers["token"]
        assert (await browse(await find_link(strategy))).status_code == 200
    assert world.counted()["register"] == 2


async def test_a_client_with_which_nobody_comes_back_is_registered_anew_at_the_third_try(world, tmp_path):
    options = world.options(tmp_path)
    await log_in(options)
    world.answers["forgotten"] = [world.last("authorize")["client_id"]]
    store = open_store(world, tmp_path)
    async with open_strategy(options) as strategy:
        store.write(store.read().without_tokens())
        link = await find_link(strategy)
        for _ in range(2):
            page = await browse(link)
            assert (page.status_code, page.text) == (400, "unknown client")
        assert world.counted()["register"] == 1
        assert (await browse(link)).status_code == 200
    assert world.counted()["register"] == 2


@pytest.mark.parametrize("seconds, registered", [(-1, 2), (3600, 1)])
async def test_a_registration_whose_secret_has_expired_is_not_used(world, tmp_path, seconds, registered):
    options = world.options(tmp_path)

    def register(form):
        world.clients["x"] = "one"
        until = {"client_secret": "s", "client_secret_expires_at": int(time.time() + seconds)}
        return JSONResponse({**form, "client_id": f"x{world.counted()['register']}", **until}, 201)

    world.answers["register"] = register
    for _ in range(2):
        assert (await log_in(options)).status_code == 200
    assert world.counted()["register"] == registered


async def test_a_registration_is_not_taken_to_the_server_itself(world, tmp_path):
    """The SDK would register the gateway at the server when its authorization server has no endpoint for that."""
    for metadata, said in (
        ({"registration_endpoint": None}, "registers no clients by itself"),
        ({"issuer": "https://evil.example"}, "issuer mismatch"),
    ):
        world.metadata = metadata
        page = await log_in(world.options(tmp_path))
        assert said in page.text
    world.answers["metadata"] = Response(status_code=404)
    assert "publishes no metadata" in (await log_in(world.options(tmp_path))).text
    assert "publishes no metadata" in (await log_in(world.options(tmp_path, client_id="known"))).text
    assert not {"register", "authorize", "token"} & {endpoint for _, endpoint, _ in world.seen}


async def test_an_authorization_server_without_pkce_is_refused_unless_a_person_vouches_for_it(world, tmp_path):
    for methods, vouched, status in ((None, False, 502), (["plain"], True, 502), (None, True, 200)):
        world.metadata = {"code_challenge_methods_supported": methods}
        more = {"client_id": "known", "issuer": world.issuer("one")} if vouched else {}
        page = await log_in(world.options(tmp_path, **more))
        assert page.status_code == status
        assert status == 200 or "PKCE" in page.text


# -- refreshes


@pytest.mark.parametrize(
    "answer",
    [Response("<html>", media_type="text/html"), Response(status_code=503), JSONResponse({"access_token": 1})],
    ids=["page", "busy", "odd"],
)
async def test_a_refresh_that_says_nothing_of_the_token_leaves_the_login_as_it_is(world, tmp_path, answer):
    options = world.options(tmp_path)
    await log_in(options)
    before = open_store(world, tmp_path).read()
    world.answers["token"] = answer
    async with open_strategy(options) as strategy:
        with pytest.raises(ServerUnavailable, match="its authorization server"):
            await strategy.answer_challenge(await strategy.credentials(ANONYMOUS), 401, world.challenge)
        assert open_store(world, tmp_path).read() == before
        del world.answers["token"]
        assert await strategy.answer_challenge(await strategy.credentials(ANONYMOUS), 401, world.challenge)


async def test_a_caller_who_goes_does_not_take_the_refreshed_token_along(world, tmp_path):
    """It was given for a refresh token that is good for one use."""
    options = world.options(tmp_path)
    await log_in(options)
    asked = anyio.Event()
    world.answers["token"] = lambda _: asked.set()
    async with open_strategy(options) as strategy:
        before = await strategy.credentials(ANONYMOUS)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(strategy.answer_challenge, before, 401, world.challenge)
            await asked.wait()
            tasks.cancel_scope.cancel()
        with anyio.fail_after(10):
            assert await strategy.answer_challenge(before, 401, world.challenge)
        assert await strategy.credentials(ANONYMOUS) != before
    assert world.counted()["token"] == 2


async def test_a_token_without_a_lifetime_is_used_until_it_is_refused(world, tmp_path):
    world.answers["token"] = JSONResponse({"access_token": "forever", "token_type": "bearer"})
    options = world.options(tmp_path)
    await log_in(options)
    async with open_strategy(options) as strategy:
        credentials = await strategy.credentials(ANONYMOUS)
        assert credentials.headers == {"Authorization": "Bearer forever"}
        assert await strategy.answer_challenge(credentials, 401, world.challenge) is False
        assert await is_login_required(strategy)


# -- what comes out of it


ECHO = {"error": "invalid_grant", "error_description": "no such code: c0de-s3cr3t"}


@pytest.mark.parametrize(
    "endpoint, answer",
    [
        ("token", JSONResponse(ECHO, 400)),
        ("token", JSONResponse({"access_token": "s3cr3t", "token_type": "MAC-s3cr3t"})),
        ("token", JSONResponse({"token": "s3cr3t"})),
        ("token", Response("s3cr3t", 500)),
        ("register", JSONResponse({"client_secret": "s3cr3t"}, 201)),
        ("register", Response("s3cr3t", 403)),
    ],
)
async def test_what_an_authorization_server_echoes_comes_out_nowhere(world, tmp_path, caplog, endpoint, answer):
    world.answers[endpoint] = answer
    page = await log_in(world.options(tmp_path))
    assert page.status_code == 502
    assert "authorization server" in page.text
    assert "s3cr3t" not in page.text
    assert "s3cr3t" not in "".join(record.getMessage() + str(record.exc_text) for record in caplog.records)


async def test_the_reason_of_an_authorization_server_is_told(world, tmp_path):
    world.answers["register"] = JSONResponse(
        {"error": "invalid_redirect_uri", "error_description": "not\nloopback"}, 400
    )
    page = await log_in(world.options(tmp_path))
    assert "does not register the gateway: invalid_redirect_uri (not loopback)" in page.text
    assert "set client_id" in page.text


async def test_a_code_or_token_is_not_sent_where_a_redirect_leads(world, tmp_path):
    world.answers["token"] = RedirectResponse("http://127.0.0.1:9/steal", 307)
    page = await log_in(world.options(tmp_path))
    assert "gave no token: HTTP 307" in page.text


async def test_a_secret_that_is_wrong_is_said_without_it(world, tmp_path):
    secret = {"grant": "client_credentials", "client_id": "machine", "client_secret": "s3cr3t"}
    world.answers["token"] = JSONResponse({"error": "invalid_client", "error_description": "bad secret s3cr3t"}, 401)
    async with open_strategy(world.options(tmp_path, **secret, issuer=world.issuer("one"))) as strategy:
        with pytest.raises(AuthError, match=r"does not know the client: invalid_client$"):
            await strategy.credentials(ANONYMOUS)
