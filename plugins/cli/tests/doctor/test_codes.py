"""Every code of a finding has a row in the page, and a test that makes the trouble."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[4]
PAGE = (ROOT / "core" / "docs" / "command-line.md").read_text(encoding="utf-8")

FINDINGS = "plugins/cli/tests/doctor/test_findings.py"
TROUBLES = "plugins/cli/tests/doctor/test_troubles.py"
MACHINE = "plugins/cli/tests/doctor/test_machine.py"
PROGRAMS = "plugins/cli/tests/doctor/test_client_programs.py"
URLS = "plugins/transport-http/tests/client/test_diagnosis.py"
COMMANDS = "plugins/transport-stdio/tests/child/test_diagnosis.py"
REDIS = "plugins/storage-redis/tests/test_diagnosis.py"
TOGETHER = "tests/e2e/test_doctor.py"

TESTS = {
    "address-unusable": (MACHINE, "test_an_address_of_another_machine_is_an_error"),
    "client-file-broken": (PROGRAMS, "test_a_file_that_the_program_itself_cannot_read_is_a_warning"),
    "client-has-both": (PROGRAMS, "test_a_server_that_the_gateway_has_too_is_a_warning"),
    "client-gateway-broken": (PROGRAMS, "test_an_entry_that_cannot_start_the_gateway_is_an_error_that_connect_mends"),
    "client-has-more": (PROGRAMS, "test_other_servers_beside_the_gateway_are_a_remark"),
    "command-ends": (TOGETHER, "test_each_trouble_is_found"),
    "command-not-found": (COMMANDS, "test_a_command_that_is_not_there_is_named_with_the_path_that_was_searched"),
    "command-only-here": (COMMANDS, "test_a_command_that_only_this_terminal_finds_is_a_warning"),
    "command-unusable": (COMMANDS, "test_a_file_that_may_not_be_run_says_so"),
    "configuration-doubtful": (TROUBLES, "test_what_is_strange_in_the_file_and_works_is_a_warning"),
    "configuration-invalid": (FINDINGS, "test_a_file_that_cannot_be_read_is_an_error"),
    "connection-refused": (URLS, "test_where_nothing_listens_the_port_is_named"),
    "credentials-refused": (FINDINGS, "test_credentials_that_are_refused_lead_to_where_they_are_written"),
    "diagnosis-failed": (FINDINGS, "test_a_plugin_that_cannot_look_does_not_end_it"),
    "disk-full": (MACHINE, "test_a_full_disk_is_named_once"),
    "dns": (URLS, "test_a_name_that_leads_nowhere_is_a_matter_of_dns"),
    "folder-missing": (COMMANDS, "test_a_folder_that_is_missing_says_so"),
    "folder-not-trusted": (FINDINGS, "test_a_file_that_is_trusted_no_more_is_a_warning"),
    "gateway-loop": (TOGETHER, "test_each_trouble_is_found"),
    "gateway-runs": (TROUBLES, "test_a_gateway_that_has_the_port_already_is_a_remark"),
    "list-incomplete": (TROUBLES, "test_a_list_that_has_no_end_is_a_warning"),
    "list-long": (FINDINGS, "test_a_long_list_is_a_warning"),
    "login-needed": (FINDINGS, "test_a_server_that_wants_a_login_leads_to_it"),
    "name-clash": (FINDINGS, "test_a_name_that_is_taken_is_a_warning_and_one_that_is_cut_a_remark"),
    "name-cut": (FINDINGS, "test_a_name_that_is_taken_is_a_warning_and_one_that_is_cut_a_remark"),
    "no-answer": (URLS, "test_a_machine_that_is_silent_is_named_after_some_seconds"),
    "gateway-unusable": (TROUBLES, "test_a_gateway_that_cannot_be_asked_is_a_warning"),
    "no-plugins": (TROUBLES, "test_without_any_plugin_it_says_how_they_are_installed"),
    "no-servers": (FINDINGS, "test_an_empty_folder_says_what_to_type"),
    "pattern-idle": (TROUBLES, "test_a_pattern_that_no_tool_has_is_a_warning"),
    "plugin-broken": (FINDINGS, "test_plugins_that_are_broken_or_of_another_api_are_warnings"),
    "plugin-of-other-api": (FINDINGS, "test_plugins_that_are_broken_or_of_another_api_are_warnings"),
    "port-forbidden": (TROUBLES, "test_a_port_for_administrators_only_is_an_error"),
    "port-taken": (MACHINE, "test_a_port_that_is_taken_says_by_whom"),
    "probe-failed": (TROUBLES, "test_what_does_not_end_in_time_is_said_to_be_unknown"),
    "proxy": (URLS, "test_a_proxy_that_is_down_is_named_without_its_password"),
    "redis-password": (REDIS, "test_a_wrong_password_is_told_and_not_repeated"),
    "redis-unreachable": (REDIS, "test_a_redis_that_is_down_is_unreachable"),
    "runtime-missing": (COMMANDS, "test_a_runtime_that_is_missing_comes_with_how_to_get_it"),
    "schema-refused": (FINDINGS, "test_what_clients_refuse_of_a_list_is_a_warning"),
    "secrets-readable": (MACHINE, "test_a_file_with_secrets_that_others_can_read_is_a_warning_that_fix_mends"),
    "server-fails": (FINDINGS, "test_a_server_that_fails_says_why"),
    "server-invalid": (TROUBLES, "test_a_server_that_is_off_is_a_remark_and_one_that_is_wrong_an_error"),
    "server-off": (TROUBLES, "test_a_server_that_is_off_is_a_remark_and_one_that_is_wrong_an_error"),
    "server-slow": (FINDINGS, "test_a_server_that_hangs_does_not_hold_it_up"),
    "server-well": (FINDINGS, "test_where_all_is_well_it_says_what_each_server_has"),
    "setting-unknown": (FINDINGS, "test_a_setting_that_is_wrong_is_an_error_and_an_unknown_one_a_warning"),
    "setting-unwise": (TROUBLES, "test_a_setting_that_works_and_is_unwise_is_a_warning"),
    "several-gateways": (TOGETHER, "test_gateways_that_serve_one_file_are_named"),
    "state-folder": (MACHINE, "test_a_state_folder_that_cannot_be_made_is_an_error"),
    "storage-fails": (FINDINGS, "test_a_storage_that_does_not_answer_is_an_error"),
    "text-suspicious": (TROUBLES, "test_a_text_that_speaks_to_the_model_is_a_warning"),
    "tls-expired": (URLS, "test_an_expired_certificate_says_so"),
    "tls-handshake": (URLS, "test_https_to_a_port_without_tls_says_so"),
    "tls-not-yet-valid": (URLS, "test_a_certificate_that_is_not_valid_yet_asks_for_the_clock"),
    "tls-revoked": (URLS, "test_a_certificate_that_is_on_the_revocation_list_beside_the_authority_says_so"),
    "tls-unknown-authority": (URLS, "test_an_unknown_authority_leads_to_the_key_ca"),
    "tls-wrong-host": (URLS, "test_a_certificate_of_another_host_says_so"),
    "tool-changed": (FINDINGS, "test_a_tool_that_has_changed_leads_to_approve"),
}
"""The test that makes the trouble of each code."""

SOURCES = sorted(
    path
    for folder in ("core/src", "plugins/*/src")
    for path in ROOT.glob(f"{folder}/**/*.py")
    if path.stem == "diagnosis" or path.parent.name == "doctor"
)
MAKERS = {"warn", "report_error", "remark", "_describe_lines"}
CODE = re.compile(r"[a-z]+(-[a-z]+)*")


def find_codes(tree: ast.AST) -> Iterator[str]:
    """Yield the codes of a module: what makers of findings get, and what is called `code`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            made = [node.args[0]] if getattr(node.func, "id", "") in MAKERS and node.args else []
            given = [*made, *(keyword.value for keyword in node.keywords if keyword.arg == "code")]
        elif isinstance(node, ast.Assign) and [getattr(target, "id", "") for target in node.targets] == ["code"]:
            given = [node.value]
        else:
            continue
        for value in given:
            branches = [value.body, value.orelse] if isinstance(value, ast.IfExp) else [value]
            yield from (one.value for one in branches if isinstance(one, ast.Constant) and CODE.fullmatch(one.value))


def find_tls_codes() -> Iterator[str]:
    """Yield the codes that `classify_tls_error` names in its docstring."""
    tree = ast.parse((ROOT / "core/src/mcp_gateway/plugin/utilities/tls.py").read_text(encoding="utf-8"))
    function = next(node for node in tree.body if getattr(node, "name", "") == "classify_tls_error")
    yield from (f"tls-{name}" for name in re.findall(r"`([a-z-]+)`", ast.get_docstring(function) or ""))


CODES = {code for path in SOURCES for code in find_codes(ast.parse(path.read_text(encoding="utf-8")))}


def test_every_code_has_a_test_and_a_place_in_the_page():
    section = PAGE.partition("## doctor\n")[2].partition("\n## ")[0]
    rows = [row.split("|")[2] for row in section.splitlines() if row.startswith("| ")]
    assert {*CODES, *find_tls_codes()} == TESTS.keys()
    assert {code for row in rows for code in re.findall(r"`([a-z-]+)`", row)} == TESTS.keys()


@pytest.mark.parametrize("code", TESTS)
def test_the_test_of_a_code_makes_it(code):
    file, name = TESTS[code]
    tree = ast.parse((ROOT / file).read_text(encoding="utf-8"))
    tests = {node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}
    words = {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant)}
    assert (name in tests, code in words) == (True, True)
