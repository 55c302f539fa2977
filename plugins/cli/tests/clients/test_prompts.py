"""Questions to a person: what is taken for an answer."""

from __future__ import annotations

import pytest
from mcp_gateway_cli.commands.clients import prompts

ANSWERS = {
    "": [1, 2, 3, 4, 5],
    "all": [1, 2, 3, 4, 5],
    "y": [1, 2, 3, 4, 5],
    "Yes": [1, 2, 3, 4, 5],
    "none": [],
    "n": [],
    "No": [],
    "2": [2],
    "3,1": [1, 3],
    "1 3": [1, 3],
    "1, 2 4-5": [1, 2, 4, 5],
    "2 - 4": [2, 3, 4],
    "1,1,1-2": [1, 2],
}
UNCLEAR = [
    "0",
    "6",
    "1,6",
    "4-6",
    "3-2",
    "-1",
    "1-",
    "1-2-3",
    "12345",
    "x",
    "1x",
    "1;2",
    "1.5",
    "\u00b2",
    "maybe",
    "-",
    ",",
]


@pytest.mark.parametrize("typed", ANSWERS)
def test_numbers_are_taken_as_people_write_them(monkeypatch, typed):
    monkeypatch.setattr(prompts, "prompt", lambda *_: f" {typed} ")
    assert prompts.choose_numbers("which?", 5) == ANSWERS[typed]


@pytest.mark.parametrize("typed", UNCLEAR)
def test_an_unclear_answer_is_told_every_way_to_answer_and_asked_again(monkeypatch, capsys, typed):
    answers = iter([typed, "2"])
    monkeypatch.setattr(prompts, "prompt", lambda *_: next(answers))
    assert prompts.choose_numbers("which?", 5) == [2]
    assert capsys.readouterr().err == "please type numbers from 1 to 5, such as 1,3 or 1-3; or none; Enter takes all\n"
