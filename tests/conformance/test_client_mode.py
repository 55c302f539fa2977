"""The suite's own servers cannot tell the gateway from a client: of either revision, whichever era the client speaks.

The scenarios named `auth/` are in test_logins.py.
"""

from __future__ import annotations

import shlex
import sys
from pathlib import Path

import pytest

from .support.suite import HANDSHAKE, MODERN, Suite, count
from .support.table import Table

CLIENT = str(Path(__file__).parent / "programs" / "client.py")
SCENARIOS = {
    HANDSHAKE: {
        "initialize": 1,
        "tools_call": 2,
        "sse-retry": 3,
        "elicitation-sep1034-client-defaults": 5,
        "json-schema-2020-12-preservation": 9,
    },
    MODERN: {
        "tools_call": 2,
        "request-metadata": 8,
        "http-standard-headers": 10,
        "http-custom-headers": 18,
        "http-invalid-tool-headers": 12,
        "sep-2322-client-request-state": 5,
        "json-schema-ref-no-deref": 1,
        "json-schema-2020-12-preservation": 9,
    },
}
"""How many checks there are to pass, by the revision of the suite's server and the scenario."""
CASES = [(revision, scenario) for revision, scenarios in SCENARIOS.items() for scenario in scenarios]


@pytest.mark.parametrize("era", ["handshake", "modern"])
@pytest.mark.parametrize("revision, scenario", CASES)
def test_the_gateway_is_a_client_as_it_should_be(
    suite: Suite, table: Table, revision: str, scenario: str, era: str
) -> None:
    command = shlex.join([sys.executable, CLIENT, "--era", era])
    results = suite.judge_client(command, scenario, revision)
    table.add(f"{era} client, server {revision}: {scenario}", results)
    assert [(name, outcome) for name, outcome in results.items() if outcome.complained] == []
    assert count(results)["SUCCESS"] >= SCENARIOS[revision][scenario]


@pytest.mark.parametrize("revision", [HANDSHAKE, MODERN])
def test_no_scenario_is_forgotten(suite: Suite, revision: str) -> None:
    listed = set(suite.list_client_scenarios(revision))
    assert {name for name in listed if not name.startswith("auth/")} == set(SCENARIOS[revision])
