import pytest
from mcp_gateway_ranker_bm25.analyser import STOP_WORDS, terms


@pytest.mark.parametrize(
    "text, expected",
    [
        ("getWeather", ["get", "weather", "getweath"]),
        ("HTTPServer", ["http", "server", "httpserver"]),
        ("parseJSON", ["pars", "json", "parsejson"]),
        ("create_pull_request", ["creat", "pull", "request"]),
        ("list-issues", ["list", "issu"]),
        ("server__tool_name", ["server", "name"]),
        ("v2.1", ["v2", "1"]),
        ("sha256", ["sha256"]),
        ("", []),
        ("!?… 🚀", []),
    ],
)
def test_text_is_cut_into_words(text, expected):
    assert terms(text) == expected


def test_singular_and_plural_meet():
    assert terms("files") == terms("file")
    assert terms("searching") == terms("searched")


def test_words_of_conversation_are_dropped():
    assert terms("Could you please show me how to do this with the tools") == ["show"]


@pytest.mark.parametrize("verb", ["get", "list", "find", "search", "create", "delete", "show", "set", "run"])
def test_verbs_by_which_tools_are_named_are_kept(verb):
    assert verb not in STOP_WORDS
    assert terms(verb)


def test_cjk_runs_become_overlapping_pairs():
    assert terms("天気予報") == ["天気", "気予", "予報"]
    assert terms("カナ") == ["カナ"]
    assert terms("火") == ["火"]


def test_words_beside_cjk_are_kept():
    assert terms("PDFを読む") == ["を読", "読む", "pdf"]


def test_widths_and_ligatures_are_normalised():
    assert terms("\uff21\uff30\uff29") == terms("API")
    assert terms("ﬁle") == terms("file")


def test_other_scripts_are_words_as_they_are():
    assert terms("Какая Погода") == ["какая", "погода"]


def test_the_order_and_number_of_terms_is_that_of_the_text():
    assert terms("read write read") == ["read", "write", "read"]
