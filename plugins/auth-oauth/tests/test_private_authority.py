"""Logins where the server, and its authorization server, have certificates of a private authority."""

import ssl

import pytest
import trustme
from mcp_gateway_auth_oauth.deferred_strategy import open_strategy

from mcp_gateway.plugin import ANONYMOUS, GatewayError

from .support import open_world


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tls")
    authority = trustme.CA()
    authority.cert_pem.write_to_path(folder / "ca.pem")
    for name in ("localhost", "client"):
        certificate = authority.issue_cert(f"{name}.test" if name == "client" else name)
        certificate.private_key_and_cert_chain_pem.write_to_path(folder / f"{name}.pem")
    return folder


async def begin(options):
    """Run the flow of client credentials, which needs no browser; return credentials or error."""
    async with open_strategy(options) as strategy:
        try:
            return (await strategy.credentials(ANONYMOUS)).headers["Authorization"]
        except GatewayError as error:
            return error


def machine(world, folder, **more):
    return world.options(
        folder,
        grant="client_credentials",
        client_id="m",
        client_secret="s3cr3t",
        issuer=world.issuer("one"),
        **more,
    )


@pytest.fixture
async def private(files):
    async with open_world(ssl_certfile=str(files / "localhost.pem")) as world:
        yield world


async def test_the_authority_of_the_entry_is_trusted(private, files, tmp_path):
    authorization = await begin(machine(private, tmp_path, ca=files / "ca.pem"))
    assert authorization.startswith("Bearer one-access-")


async def test_without_it_nothing_is_sent_and_the_error_says_certificate(private, tmp_path):
    error = str(await begin(machine(private, tmp_path)))
    assert "certificate" in error
    assert '"ca"' in error, error
    assert private.seen == []


async def test_a_server_that_wants_a_certificate_gets_the_entrys(files, tmp_path):
    wants = {"ssl_ca_certs": str(files / "ca.pem"), "ssl_cert_reqs": ssl.CERT_REQUIRED}
    async with open_world(ssl_certfile=str(files / "localhost.pem"), **wants) as world:
        refused = await begin(machine(world, tmp_path / "without", ca=files / "ca.pem"))
        assert isinstance(refused, GatewayError)
        options = machine(world, tmp_path / "with", ca=files / "ca.pem", cert=files / "client.pem")
        assert (await begin(options)).startswith("Bearer one-access-")
