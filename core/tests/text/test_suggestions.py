"""Suggestions: what somebody may have meant."""

from mcp_gateway.text.suggestions import (
    find_similar_names,
    format_no_match,
    format_suggestion,
    suggest_with,
    suggest_word,
)


def test_near_names_come_nearest_first_in_their_own_case():
    assert find_similar_names("create_isue", ["Create_Issue", "create_issues", "delete"]) == [
        "Create_Issue",
        "create_issues",
    ]
    assert find_similar_names("x", ["create_issue"]) == []


def test_a_suggestion_is_made_for_what_is_near():
    assert suggest_word("comand", ["command", "args"]) == "; did you mean 'command'?"
    assert suggest_word("bm25", ["ranker-regex", "ranker-bm25"]) == "; did you mean 'ranker-bm25'?"
    assert suggest_word("zebra", ["command", "args"]) == ""


def test_a_suggestion_names_all_that_may_have_been_meant():
    assert format_suggestion(["a", "b"]) == "did you mean 'a' or 'b'?"
    assert format_suggestion([]) == ""


def test_case_and_punctuation_do_not_count():
    assert suggest_word("MCP-SERVERS", ["mcpServers", "mcp_servers"]) == "; did you mean 'mcp_servers'?"


def test_a_search_without_hits_names_servers_and_tools_that_partly_match():
    said = format_no_match("github issues", ["github", "time"], ["github__create_issue", "time__now"])
    assert said == (
        "nothing matches; try other words; servers with such a name: github (discover_tools lists all of one's "
        "tools); tools with such a name: github__create_issue"
    )
    assert format_no_match("x", ["alpha"], []) == "there are no tools to search"


def test_advice_follows_a_suggestion_or_stands_alone():
    assert suggest_with("comand", ["command", "args"], "see x") == "; did you mean 'command'? see x"
    assert suggest_with("zzz", ["command", "args"], "see x") == "; see x"
