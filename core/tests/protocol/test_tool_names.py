"""Full names of tools, their short forms, and names of servers."""

from __future__ import annotations

import pytest

from mcp_gateway.protocol.tool_names import (
    MAX_NAME,
    MIN_MAX_NAME,
    former_names,
    full_name,
    full_names,
    is_server_name,
    name_prefixes,
    sanitize_server_name,
    sanitize_server_names,
    split_name,
)


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


@pytest.mark.parametrize(
    "name, valid",
    [
        ("naïve", "naive"),
        ("Straße 7", "Strasse-7"),
        ("Łódź", "Lodz"),
        ("\uff27it\uff28ub", "GitHub"),
        ("🚀 deploy", "deploy"),
        ("@scope/pkg", "scope-pkg"),
        ("高德地图", "server-1ecb3b"),
        ("天气查询", "server-144cd5"),
        ("高德 map", "map-3f428b"),
        ("погода", "server-c1d5a8"),
        ("हिन्दी", "server-9ddb12"),
        ("عربي", "server-9f9a68"),
        ("cafe\u0301", "cafe"),
        ("が", "server-e3b219"),
        ("か\u3099", "server-e3b219"),
    ],
)
def test_a_name_in_any_script_is_readable_or_has_a_hash_that_never_changes(name, valid):
    assert sanitize_server_name(name) == valid
    assert is_server_name(valid)


def test_half_of_a_character_makes_a_name_like_any_other():
    assert is_server_name(sanitize_server_name("\ud83d"))
    assert full_name("a", "\ud83d") != full_name("a", "\ud83e")


def test_names_that_would_become_the_same_get_a_hash_whatever_their_order():
    names = ["My Server", "My-Server", "My/Server", "", " ", "C++", "C#", "fine", "高德地图", "天气查询"]
    found = sanitize_server_names(names)
    assert sanitize_server_names(names[::-1]) == found
    assert (found["My-Server"], found["fine"]) == ("My-Server", "fine")
    assert len(set(found.values())) == len(names)
    assert all(map(is_server_name, found.values()))


@pytest.mark.parametrize("limit", [MIN_MAX_NAME, 32, 40, 60, MAX_NAME, 128])
@pytest.mark.parametrize("namespace", ["a", "github", "n" * 23, "my-company-internal-tools", "s" * 55, "s" * 200])
def test_a_limit_bounds_every_name_and_none_collide(namespace, limit):
    tools = ["x", "t" * 20, "日本", *(f"{'t' * 200}{number}" for number in range(100))]
    names = full_names(namespace, tools, limit)
    assert max(map(len, names.values())) <= limit
    assert len(set(names.values())) == len(tools)
    assert all(name.startswith(name_prefixes(namespace, limit)) for name in names.values())
    for tool, name in names.items():
        whole = f"{namespace}__{tool}"
        assert (name == whole) == (len(whole) <= limit and tool != "日本")
        assert former_names(namespace, tool) == (whole, full_name(namespace, tool))


@pytest.mark.parametrize(
    "namespace, tool, limit, short",
    [
        ("server", "create_issue_with_labels", 24, "server__create_is_f7e959"),
        ("my-company-internal-tools", "create_issue_with_labels", 40, "my-company-in-2b385b__create_issu_c5e7bf"),
        ("server", "t" * 60, 128, f"server__{'t' * 60}"),
        (None, "t" * 60, 40, f"{'t' * 33}_440910"),
        (None, "t" * 300, None, "t" * 300),
        (None, "日本", 40, "日本"),
    ],
)
def test_a_short_form_at_another_limit_is_readable_and_never_changes(namespace, tool, limit, short):
    assert full_name(namespace, tool, limit) == short


def test_short_namespaces_of_different_servers_begin_differently():
    names = [f"my-company-internal-{number}" for number in range(1000)]
    prefixes = {prefix for name in names for prefix in name_prefixes(name, MIN_MAX_NAME)}
    assert len(prefixes) == 2 * len(names)


def find_twins():
    """Find two tools whose short forms have the same hash."""
    seen = {}
    for number in range(1_000_000):
        tool = f"{'t' * 60}{number}"
        name = full_name("server", tool)
        if name in seen:
            return seen[name], tool
        seen[name] = tool
    raise AssertionError


def test_tools_whose_hashes_are_the_same_get_longer_ones_whatever_their_order():
    twins = find_twins()
    names = full_names("server", [*twins, "other"])
    assert full_names("server", ["other", *twins[::-1]]) == names
    assert len(set(names.values())) == 3
    assert all(len(name) <= MAX_NAME for name in names.values())
    assert names["other"] == "server__other"
