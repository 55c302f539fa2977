"""The suite's servers that want a login get one: each dated scenario named `auth/`, by a person in a browser.

What they judge is the gateway: discovery, registration, scopes and stepping up, `iss`, and a change of authorization
servers. All of them pass.
"""

from __future__ import annotations

import shlex
import sys
from pathlib import Path

import pytest

from .support.suite import HANDSHAKE, MODERN, Suite, count
from .support.table import Table

FIRST = "2025-03-26"
CLIENT = str(Path(__file__).parent / "programs" / "login_client.py")
BOTH = {
    "auth/metadata-default": 20,
    "auth/metadata-var1": 20,
    "auth/metadata-var2": 20,
    "auth/metadata-var3": 20,
    "auth/basic-cimd": 14,
    "auth/scope-from-www-authenticate": 16,
    "auth/scope-from-scopes-supported": 16,
    "auth/scope-omitted-when-undefined": 16,
    "auth/scope-step-up": 26,
    "auth/scope-retry-limit": 10,
    "auth/token-endpoint-auth-basic": 21,
    "auth/token-endpoint-auth-post": 21,
    "auth/token-endpoint-auth-none": 21,
    "auth/pre-registration": 15,
}
SCENARIOS = {
    FIRST: {"auth/2025-03-26-oauth-metadata-backcompat": 15, "auth/2025-03-26-oauth-endpoint-fallback": 10},
    HANDSHAKE: BOTH,
    MODERN: {
        **BOTH,
        "auth/resource-mismatch": 4,
        "auth/offline-access-scope": 17,
        "auth/offline-access-not-supported": 16,
        "auth/authorization-server-migration": 30,
        "auth/iss-supported": 16,
        "auth/iss-not-advertised": 16,
        "auth/iss-supported-missing": 18,
        "auth/iss-wrong-issuer": 18,
        "auth/iss-unexpected": 18,
        "auth/iss-normalized": 18,
        "auth/metadata-issuer-mismatch": 7,
    },
}
"""How many checks there are to pass, by the revision of the suite's server and the scenario."""
CASES = [(revision, scenario) for revision, scenarios in SCENARIOS.items() for scenario in scenarios]


@pytest.mark.parametrize("revision, scenario", CASES)
def test_the_gateway_logs_in_as_it_should(suite: Suite, table: Table, revision: str, scenario: str) -> None:
    results = suite.judge_client(shlex.join([sys.executable, CLIENT]), scenario, revision)
    table.add(f"login, server {revision}: {scenario}", results)
    assert [(name, outcome) for name, outcome in results.items() if outcome.complained] == []
    assert count(results)["SUCCESS"] >= SCENARIOS[revision][scenario]


@pytest.mark.parametrize("revision", SCENARIOS)
def test_no_scenario_is_forgotten(suite: Suite, revision: str) -> None:
    listed = suite.list_client_scenarios(revision)
    assert {name for name in listed if name.startswith("auth/")} == set(SCENARIOS[revision])
