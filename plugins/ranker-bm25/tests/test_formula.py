"""Our postings give the scores of rank_bm25, which is the reference, on the same tokens."""

import random

import numpy as np
import pytest
from mcp_gateway_ranker_bm25.fields import FIELDS, Field, TermFrequencies
from mcp_gateway_ranker_bm25.postings import compute_postings
from rank_bm25 import BM25Okapi

ONE_FIELD = [Field("all", 1.0, 0.75)]


def made(bags, fields=ONE_FIELD, k1=1.5):
    """Make postings of bags of tokens, one bag a field of each document."""
    vocabulary, rows = {}, []
    for document, parts in enumerate(bags):
        for field, bag in enumerate(parts):
            rows += [
                (document, vocabulary.setdefault(token, len(vocabulary)), field, bag.count(token))
                for token in dict.fromkeys(bag)
            ]
    lengths = np.array([[len(bag) for bag in parts] for parts in bags]).reshape(len(bags), len(fields))
    return compute_postings(
        vocabulary, TermFrequencies(*np.array(rows, np.int64).reshape(-1, 4).T), lengths, fields, k1
    )


def corpus(seed, size, words):
    chance = random.Random(seed)
    return [[f"w{int(words * chance.random() ** 3)}" for _ in range(chance.randint(1, 40))] for _ in range(size)]


@pytest.mark.parametrize("seed, size, words", [(1, 30, 80), (2, 200, 500), (3, 1000, 3000), (4, 500, 40)])
def test_scores_are_those_of_rank_bm25(seed, size, words):
    bags = corpus(seed, size, words)
    reference, ours = BM25Okapi(bags), made([[bag] for bag in bags])
    chance = random.Random(seed)
    compared = 0
    for _ in range(50):
        query = [f"w{chance.randrange(words)}" for _ in range(chance.randint(1, 8))]
        if any(reference.idf.get(token, 1) <= 0 for token in query):
            continue
        expected = reference.get_scores(query)
        assert np.abs(ours.scores((token, 1.0) for token in query) - expected).max() < 1e-12
        compared += 1
    assert compared > 20


def test_terms_of_most_documents_weigh_what_rank_bm25_gives_them():
    bags = [["common", f"w{number}"] for number in range(100)]
    reference, ours = BM25Okapi(bags), made([[bag] for bag in bags])
    assert reference.idf["common"] == pytest.approx(reference.epsilon * reference.average_idf)
    assert ours.scores([("common", 1.0)]) == pytest.approx(reference.get_scores(["common"]))


@pytest.mark.parametrize("bags", [[["a"]], [["a"], ["b"]], [["a"], ["a"]], [["a", "b"], ["a"], ["a"]]])
def test_where_rank_bm25_gives_nothing_or_less_a_term_still_counts(bags):
    ours = made([[bag] for bag in bags])
    for document, bag in enumerate(bags):
        assert all(ours.scores([(token, 1.0)])[document] > 0 for token in bag)


def test_fields_are_added_up_before_they_are_saturated():
    fields = [Field("name", 3.0, 0.0), Field("text", 1.0, 0.0)]
    ours = made([[["a"], ["a", "a"]], [["b"], ["c"]], [["d"], []], [["e"], []]], fields, k1=1.2)
    idf = BM25Okapi([["a"], ["b", "c"], ["d"], ["e"]]).idf["a"]
    assert ours.scores([("a", 1.0)])[0] == pytest.approx(idf * 5 * 2.2 / (1.2 + 5))


def test_many_fields_of_one_weight_and_no_length_are_one_field():
    bags = corpus(7, 100, 200)
    split = [[bag[:3], bag[3:9], bag[9:], [], [], []] for bag in bags]
    flat = [Field(field.name, 1.0, 0.0) for field in FIELDS]
    reference = BM25Okapi(bags, b=0.0)
    assert np.abs(made(split, flat).scores([("w3", 1.0)]) - reference.get_scores(["w3"])).max() < 1e-12


def test_nothing_at_all_can_be_indexed():
    assert made([]).scores([("a", 1.0)]).tolist() == []
    assert made([[[]], [[]]]).scores([("a", 1.0)]).tolist() == [0.0, 0.0]
