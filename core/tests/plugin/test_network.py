"""Addresses that a server must not lead the gateway to."""

import pytest

from mcp_gateway.plugin import is_link_local, is_public


@pytest.mark.parametrize(
    "address",
    [
        "169.254.169.254",
        "fe80::1%eth0",
        "::ffff:169.254.169.254",
        "64:ff9b::169.254.169.254",
        "2002:a9fe:a9fe::",
        "100.100.100.200",
        "fd00:ec2::254",
    ],
)
def test_where_clouds_keep_credentials_is_link_local_and_not_public(address):
    assert is_link_local(address)
    assert not is_public(address)


@pytest.mark.parametrize(
    "address, public",
    [
        ("8.8.8.8", True),
        ("2606:4700::1111", True),
        ("::ffff:8.8.8.8", True),
        ("64:ff9b::8.8.8.8", True),
        ("10.0.0.1", False),
        ("127.0.0.1", False),
        ("::1", False),
        ("fd00::1", False),
        ("::ffff:192.168.0.1", False),
        ("64:ff9b::10.0.0.1", False),
        ("2002:a00:1::", False),
        ("", False),
        ("localhost", False),
    ],
)
def test_only_addresses_of_the_internet_are_public(address, public):
    assert is_public(address) is public
    assert not is_link_local(address)
