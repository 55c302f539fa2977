"""The pages of published clients and servers are as their commands write them, with every row."""

from __future__ import annotations

import re

import pytest

from ..counterparts import client_runs, clients, comparison, servers
from ..counterparts.pages import Page

MIN_SERVERS = 30


@pytest.mark.parametrize("page", [clients.PAGE, servers.PAGE], ids=lambda page: page.path.stem)
def test_a_page_is_as_its_command_writes_it(page: Page) -> None:
    rows = page.read_rows()
    assert list(rows) == list(page.keys)
    assert page.render(rows.values()) == page.path.read_text(encoding="utf-8")
    version = page.columns.index("version")
    assert [key for key, row in rows.items() if not re.match(r"\d+\.\d+", row[version])] == []


def test_each_client_can_do_what_is_expected_of_it() -> None:
    rows = clients.PAGE.read_rows()
    for client in clients.CLIENTS:
        for over in client.transports:
            row = rows[client.name, over]
            assert row == client_runs.row_of(client, over, row[2], client.abilities)


def test_thirty_published_servers_are_the_same_through_the_gateway() -> None:
    rows = servers.PAGE.read_rows()
    assert {row[-1] for row in rows.values()} == {comparison.SAME}
    assert len(rows) >= MIN_SERVERS
