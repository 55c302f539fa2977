"""Exponential back-off."""

import pytest

from mcp_gateway.runtime.backoff import Backoff


def test_each_delay_is_twice_the_one_before_up_to_the_maximum():
    backoff = Backoff(5.0, 60.0)
    assert [backoff.next_delay() for _ in range(6)] == [5.0, 10.0, 20.0, 40.0, 60.0, 60.0]
    assert backoff.attempts == 6


def test_it_begins_again_after_a_reset():
    backoff = Backoff(1.0, 300.0)
    assert [backoff.next_delay(), backoff.next_delay()] == [1.0, 2.0]
    backoff.reset()
    assert [backoff.next_delay(), backoff.next_delay()] == [1.0, 2.0]


def test_the_jitter_spreads_delays_around_the_exact_one_even_at_the_maximum():
    delays = [Backoff(4.0, 4.0, (0.5, 1.5)).next_delay() for _ in range(200)]
    assert all(2.0 <= delay <= 6.0 for delay in delays)
    assert min(delays) < 4.0 < max(delays)


@pytest.mark.parametrize("maximum", [300.0, float("inf")])
def test_it_can_go_on_for_ever(maximum):
    backoff = Backoff(0.25, maximum)
    backoff.attempts = 1_000_000
    assert backoff.next_delay() == min(0.25 * 2.0**64, maximum)
