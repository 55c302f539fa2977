"""Networks of clients: what counts as one neighbour."""

import pytest
from mcp_gateway_transport_http.network import network_of


@pytest.mark.parametrize(
    "address, network",
    [
        ("192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("2001:db8::1", "2001:db8::/64"),
        ("2001:db8::2", "2001:db8::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("", ""),
    ],
)
def test_an_ipv6_network_is_one_neighbour(address, network):
    assert network_of(address) == network


@pytest.mark.parametrize(
    "one, other, is_same",
    [
        ("2001:db8::1", "2001:db8::ffff:1", True),
        ("2001:db8::1", "2001:db8:0:1::1", False),
        ("::ffff:192.0.2.1", "192.0.2.1", True),
        ("192.0.2.1", "192.0.2.2", False),
        ("testclient", "testclient", True),
    ],
)
def test_what_one_person_has_counts_as_one_address(one, other, is_same):
    assert (network_of(one) == network_of(other)) is is_same
