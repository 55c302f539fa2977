"""The tables of core/docs/settings.md are made from the declarations of the settings."""

from __future__ import annotations

from .support.settings_page import PAGE, declaring_classes, named_in, page, settings

TEXT = PAGE.read_text(encoding="utf-8")
RENEW = "renew it: python -m tests.e2e.support.settings_page"


def test_every_setting_has_one_row_and_nothing_else_has() -> None:
    missing = sorted(set(settings()) - set(named_in(TEXT)))
    assert not missing, f"put a row `| `NAME` | | |` into a table of {PAGE.name} for each of {missing}, then {RENEW}"
    assert sorted(named_in(TEXT)) == sorted(settings()), RENEW


def test_the_rows_say_what_the_declarations_say() -> None:
    assert page(TEXT) == TEXT, RENEW


def test_every_setting_is_declared_once() -> None:
    declared = declaring_classes()
    assert {"GATEWAY_SHUTDOWN_GRACE", "GATEWAY_MAX_REQUEST_BYTES", "MCP_GATEWAY_SESSION_IDLE_TIMEOUT"} <= set(declared)
    assert {key: classes for key, classes in declared.items() if len(classes) > 1} == {}
