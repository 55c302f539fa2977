import anyio
import pytest
from mcp_gateway_ranker_regex import mcp_gateway_rankers

from mcp_gateway.plugin import Document, Hits, Parameter, Query, QueryError

(PROVIDER,) = mcp_gateway_rankers()

DOCUMENTS = [
    Document(
        id="git__commit",
        server="git",
        name="commit",
        description="Record changes",
        parameters=(Parameter(name="message", text="What the issue was"),),
    ),
    Document(id="jira__create_issue", server="jira", name="create_issue", description="Create a ticket"),
    Document(id="jira__comment", server="jira", name="comment", description="Comment on an issue"),
]


async def search(pattern: str, limit: int = 10, documents: list[Document] = DOCUMENTS) -> Hits:
    async with PROVIDER.bind({}).open() as ranker:
        return await (await ranker.build(documents)).search(Query(text=pattern, limit=limit))


async def ids(pattern: str) -> list[str]:
    return [hit.id for hit in (await search(pattern)).hits]


async def test_names_rank_before_descriptions_and_these_before_arguments():
    assert await ids("issue") == ["jira__create_issue", "jira__comment", "git__commit"]


@pytest.mark.parametrize("pattern", ["issue", "ISSUE", "Is+Ue", "(?i)iSSUE"])
async def test_case_makes_no_difference(pattern):
    assert len(await ids(pattern)) == 3


async def test_case_matters_again_where_the_pattern_says_so():
    assert await ids("(?-i)Comment") == ["jira__comment"]


@pytest.mark.parametrize(
    "pattern, expected",
    [
        ("^jira__", ["jira__comment", "jira__create_issue"]),
        (r"\bcreate_\w+", ["jira__create_issue"]),
        ("commit|comment", ["jira__comment", "git__commit"]),
        ("message", ["git__commit"]),
        (r"c.+t", ["jira__comment", "jira__create_issue", "git__commit"]),
        (r"(?P<verb>create|delete)_issue", ["jira__create_issue"]),
    ],
)
async def test_patterns_are_found_anywhere(pattern, expected):
    assert sorted(await ids(pattern)) == sorted(expected)


async def test_total_counts_all_matches():
    answer = await search("issue", limit=1)
    assert len(answer.hits) == 1
    assert answer.total == 3


@pytest.mark.parametrize("pattern", [r"(?<=create_)issue", r"(?=x)", r"(a)\1", "(", "[z-a]", "a{99999}", "*"])
async def test_what_cannot_be_matched_in_linear_time_or_at_all_is_refused_with_advice(pattern):
    with pytest.raises(QueryError, match=r"look-around.*use_regex false"):
        await ids(pattern)


@pytest.mark.parametrize("pattern", ["(a+)+$", "(a|aa)+$", "(.*)*x", "(a*)*b", "^(([a-z])+.)+[A-Z]([a-z])+$"])
async def test_patterns_that_explode_elsewhere_return_here(pattern):
    text = "a" * 50_000 + "!"
    documents = [Document(id=f"s__t{number}", server="s", name="t", description=text) for number in range(5)]
    assert isinstance(await search(pattern, documents=documents), Hits)


async def test_an_empty_pattern_matches_every_tool():
    assert (await search("")).total == 3


async def test_large_catalogues_are_searched_as_small_ones_are():
    many = [Document(id=f"s__t{number:05}", server="s", name=f"t{number:05}") for number in range(2500)]
    answer = await search("t0000", limit=3, documents=many)
    assert [hit.id for hit in answer.hits] == ["s__t00000", "s__t00001", "s__t00002"]
    assert answer.total == 10


async def test_of_alternatives_more_are_better_and_rare_ones_too():
    assert await ids("create|ticket|nothing") == ["jira__create_issue"]
    assert (await ids("(?:message|issue)"))[0] == "jira__create_issue"
    assert await ids("ticket|comment|record") == ["jira__comment", "git__commit", "jira__create_issue"]


async def test_patterns_mean_what_they_mean_to_python():
    documents = [Document(id="s__größe", server="s", name="größe", description="Länge ٣ \u00fc")]
    for pattern in (r"^\w+__\w+$", r"gr\w{2}e", r"[\w]+ße", r"L\u00e4nge", r"\d", r"größe\Z", r"[]x]|L", r"[|]|ä"):
        assert (await search(pattern, documents=documents)).total == 1, pattern
    for pattern in (r"gr\Wße", r"^\W", r"x\Z"):
        assert (await search(pattern, documents=documents)).total == 0, pattern


async def test_every_hit_says_which_alternatives_match_and_where():
    async with PROVIDER.bind({}).open() as ranker:
        index = await ranker.build(DOCUMENTS)
        answer = await index.search(Query(text="issue|create", explain=True))
    reasons = {match.term: match.fields for match in answer.hits[0].matches}
    assert reasons == {"create": ("name", "description"), "issue": ("name",)}
    assert answer.hits[0].score == pytest.approx(sum(match.score for match in answer.hits[0].matches))
    assert not (await index.search(Query(text="issue"))).hits[0].matches


async def test_a_hit_of_every_alternative_is_strong_and_one_of_some_is_weak():
    assert (await search("create|ticket")).label == "strong"
    assert (await search("create|zebra")).label == "weak"
    assert (await search("zebra")).label == "none"


# -- patterns that are attacks

WORDS = [
    "create",
    "list",
    "delete",
    "issue",
    "commit",
    "branch",
    "of",
    "the",
    "repository",
    "file",
    "user",
    "message",
    "channel",
    "number",
    "with",
    "name",
]
MANY = [
    Document(
        id=f"s{number % 40}__tool_{number}",
        server=f"s{number % 40}",
        name=f"tool_{number}",
        description=" ".join(WORDS[(number * step) % len(WORDS)] for step in range(3, 60)),
    )
    for number in range(9_900)
] + [Document(id=f"x__{number}", server="x", name=str(number), description="ab" * 50_000) for number in range(100)]

ATTACKS = [
    "(a+)+$",
    "(x+x+)+y",
    ".*.*.*.*.*.*.*.*=.*",
    "((a{0,30}){0,30})b",
    "(?:a?){100}a{100}",
    "(?:[a-z ]*e[a-z ]{12})+Q",
    "|".join(f".*{letter}.{{9}}" for letter in "abcdefghijklmnopqrstuv")[:200],
    "|".join(f".*{one}.*{other}" for one in "abcde" for other in "fghij")[:200],
]


@pytest.mark.parametrize("attack", ATTACKS)
async def test_a_pattern_that_is_an_attack_gets_an_answer_while_everybody_else_goes_on(attack):
    turns = 0

    async def others():
        nonlocal turns
        while True:
            await anyio.sleep(0.001)
            turns += 1

    async with PROVIDER.bind({}).open() as ranker, anyio.create_task_group() as tasks:
        index = await ranker.build(MANY)
        tasks.start_soon(others)
        with anyio.fail_after(30):
            try:
                said = f"{(await index.search(Query(text=attack))).total} tools"
            except QueryError as error:
                said = str(error)
        assert turns > 5, said
        tasks.cancel_scope.cancel()


async def test_a_pattern_that_takes_too_long_says_so_and_what_to_do(monkeypatch):
    monkeypatch.setattr("mcp_gateway_ranker_regex.ranker.SECONDS", 0.0)
    monkeypatch.setattr("mcp_gateway_ranker_regex.ranker.SECONDS_A_TOOL", 0.0)
    with pytest.raises(QueryError, match=r"time was up after \d+ of 3 tools; leave out what begins or ends with"):
        await search("issue")


async def test_a_search_may_take_half_a_second_of_computing_for_ten_thousand_tools():
    from mcp_gateway_ranker_regex.ranker import SECONDS, SECONDS_A_TOOL

    assert max(SECONDS, len(MANY) * SECONDS_A_TOOL) <= 0.5
