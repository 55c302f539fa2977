"""The tool policy: what its globs permit, and that nothing permits again what was forbidden."""

from __future__ import annotations

import pytest

from mcp_gateway.config.tool_policy import RuleList, ToolPolicy, ToolRule, policy_from_globs


@pytest.mark.parametrize(
    "include, exclude, permitted",
    [
        (None, (), {"read", "write", "write_all"}),
        (["read"], (), {"read"}),
        (["write*"], (), {"write", "write_all"}),
        (["*"], ["write*"], {"read"}),
        (["read", "write"], ["write"], {"read"}),
        (None, ["?rite"], {"read", "write_all"}),
        (None, ["[rw]*"], set()),
        ([], (), set()),
        (None, ["*"], set()),
    ],
)
def test_include_permits_only_what_matches_and_exclude_forbids_whatever_include_says(include, exclude, permitted):
    policy = policy_from_globs(include, exclude)
    assert {name for name in ("read", "write", "write_all") if policy.permits(name)} == permitted


@pytest.mark.parametrize("name", ["delete_file", "Delete_File", "delete-file", "d\u0435lete_file", "delete_fi\u200ble"])
def test_a_name_that_looks_like_a_forbidden_one_is_forbidden_too(name):
    assert not policy_from_globs(None, ["delete_*"]).permits(name)
    assert not policy_from_globs(None, ["delete_file"]).permits(name)


@pytest.mark.parametrize("name", ["Read", "re-ad", "r\u0435ad"])
def test_a_name_that_only_looks_like_a_permitted_one_is_not_permitted(name):
    assert not policy_from_globs(["read"]).permits(name)


def test_a_set_of_characters_forbids_no_others():
    policy = policy_from_globs(None, ["x[ab]", "Y[0-9]"])
    assert [policy.permits(name) for name in ("xa", "XB", "xc", "y7", "yx")] == [False, False, True, False, True]


def test_a_policy_within_another_permits_only_what_both_permit():
    both = policy_from_globs(["a*"]).within(policy_from_globs(None, ["ab"]))
    assert [both.permits(name) for name in ("a", "ab", "b")] == [True, False, False]
    assert ToolPolicy().within(both) == both


def test_of_the_rules_of_one_list_the_last_that_matches_decides():
    rules = (ToolRule("demo_*", permits=False, prefix="demo_"), ToolRule("demo_read", permits=True, prefix="demo_"))
    policy = ToolPolicy((RuleList(rules),))
    assert [policy.permits(name) for name in ("read", "write")] == [True, False]


def test_globs_that_match_nothing_are_found():
    assert policy_from_globs(["raed"], ["wr*", "gone"]).find_idle(["read", "write"]) == ["raed", "gone"]


def test_the_digest_tells_policies_apart_and_that_of_none_is_empty():
    assert ToolPolicy().digest == ""
    policies = [
        policy_from_globs(["a"]),
        policy_from_globs(None, ["a"]),
        policy_from_globs([]),
        policy_from_globs(["b"]),
    ]
    assert len({policy.digest for policy in policies}) == 4


def test_a_pattern_of_many_stars_takes_no_time():
    assert policy_from_globs(None, ["*a" * 30 + "b"]).permits("a" * 100_000)
