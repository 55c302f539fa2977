"""Full names of tools, their short forms, and names of servers."""

from __future__ import annotations

import pytest

from mcp_gateway.protocol.tool_names import MAX_NAME, full_name, is_server_name, sanitize_server_name, split_name


@pytest.mark.parametrize(
    "name, parts",
    [
        ("a__b", ("a", "b")),
        ("a__b__c", ("a", "b__c")),
        ("a____b", ("a", "__b")),
        ("a-1.x__b.c-d", ("a-1.x", "b.c-d")),
        ("a_b", None),
        ("__b", None),
        ("a__", None),
        ("__", None),
        ("", None),
    ],
)
def test_a_full_name_splits_at_the_first_separator(name, parts):
    assert split_name(name) == parts
    if parts:
        assert full_name(*parts) == name


@pytest.mark.parametrize(
    "server, tool, short",
    [
        ("a", "b/c d", "a__b_c_d_e94aa0"),
        ("a", "日本", "a____f441de"),
        ("server", "t" * 60, f"server__{'t' * 49}_e0e8f1"),
        ("s" * 70, "tool", f"{'s' * 57}_74327b"),
    ],
)
def test_a_name_that_clients_refuse_has_a_short_form_that_never_changes(server, tool, short):
    assert full_name(server, tool) == short
    assert len(short) <= MAX_NAME


def test_names_that_differ_only_in_what_is_cut_off_stay_apart():
    names = [full_name("server", f"{'t' * 60}{number}") for number in range(1000)]
    assert len(set(names)) == 1000


@pytest.mark.parametrize("name", ["a", "A1", "a_b", "a-b.c", "a_b_c", "1"])
def test_a_server_name_has_no_separator_in_it(name):
    assert is_server_name(name)
    assert sanitize_server_name(name) == name
    assert split_name(full_name(name, "_t")) == (name, "_t")


@pytest.mark.parametrize("name", ["my server", "a__b", "_a_", "ä", "…", "a/b@c", "", "-x-", ".", "a___b", "a _ b"])
def test_a_name_of_another_program_is_tamed_into_a_server_name(name):
    assert is_server_name(sanitize_server_name(name))
    assert sanitize_server_name(sanitize_server_name(name)) == sanitize_server_name(name)
