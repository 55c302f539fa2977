"""Challenges of servers: what is read of them, and that the rest does no harm."""

import pytest
from mcp_gateway_auth_oauth.challenges import Challenge, parse_challenge, unite_scopes

META = "https://crm.example/.well-known/oauth-protected-resource"


@pytest.mark.parametrize(
    "header, challenge",
    [
        ("", Challenge()),
        ("Bearer", Challenge()),
        ('Bearer scope="a b"', Challenge(scopes=("a", "b"))),
        ("bearer SCOPE = a", Challenge(scopes=("a",))),
        (
            f'Bearer error="insufficient_scope", scope="files:write", resource_metadata="{META}"',
            Challenge(error="insufficient_scope", scopes=("files:write",), metadata_url=META),
        ),
        ('Basic realm="x", scope="no", Bearer realm="a, b", scope="yes"', Challenge(scopes=("yes",))),
        ('Bearer scope="yes", Basic scope="no"', Challenge(scopes=("yes",))),
        ('DPoP algs="ES256", error="insufficient_scope"', Challenge()),
        (r'Bearer error_description="say \"scope=no\"", scope=yes', Challenge(scopes=("yes",))),
        ("Negotiate abc==, Bearer scope=a", Challenge(scopes=("a",))),
        ('Bearer scope="a", scope="b"', Challenge(scopes=("a",))),
        # What is no scope, or no address, is left out.
        ('Bearer scope="a\\" b\x7f ä"', Challenge()),
        ('Bearer resource_metadata="file:///etc/passwd"', Challenge()),
        ('Bearer resource_metadata="https://crm.example/\\"x"', Challenge()),
        ('Bearer scope="unfinished', Challenge()),
    ],
)
def test_a_challenge_is_read(header, challenge):
    assert parse_challenge(header) == challenge


def test_a_challenge_is_written_as_it_is_read():
    challenge = Challenge(scopes=("a", "b"), metadata_url=META)
    assert parse_challenge(challenge.encode()) == challenge
    assert parse_challenge(Challenge().encode()) == Challenge()


def test_a_long_challenge_is_read_in_linear_time_and_not_all_of_it_kept():
    for header in ("Bearer " + "a=" * 2000, 'Bearer a="' + '\\"' * 2000, "Bearer " + '"' * 4000, "a " * 2000):
        assert parse_challenge(header) == Challenge()
    assert len(parse_challenge(f'Bearer scope="{" ".join(map(str, range(900)))}"').scopes) == 100


def test_scopes_are_united_in_order_and_each_once():
    assert unite_scopes(("b", "a"), (), ("a", "c")) == ("b", "a", "c")
