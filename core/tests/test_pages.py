"""The pages hang together: their links lead somewhere, and what they say of the tree is so."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CORE = ROOT / "core"
SOURCE = CORE / "src" / "mcp_gateway"
README_LINES = 160
PAGES = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    ROOT / "plugins" / "README.md",
    *sorted(CORE.glob("*.md")),
    *sorted((CORE / "docs").glob("*.md")),
]


def read(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def section(page: str, heading: str) -> str:
    """Return what stands under a heading of a page."""
    return page.split(f"\n## {heading}\n", 1)[1].split("\n## ", 1)[0]


def anchors_in(page: str) -> set[str]:
    """Return the anchors of a page's headings, as a forge makes them."""
    headings = re.findall(r"^#+ (.*)$", page, re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_relative_link_leads_to_a_file_and_a_heading(page):
    wrong = []
    for link in re.findall(r"\]\(([^)\s]+)\)", read(page)):
        path, _, anchor = link.partition("#")
        target = page.parent / path if path else page
        if re.match(r"[a-z]+:", link):
            continue
        if not target.exists() or (anchor and anchor not in anchors_in(read(target))):
            wrong.append(link)
    assert wrong == []


@pytest.mark.parametrize("page", sorted((CORE / "docs").glob("*.md")), ids=lambda page: page.name)
def test_every_page_of_the_docs_is_linked_from_the_readme_or_that_of_the_core(page):
    linked = re.findall(r"\]\(([^)#\s]+)", read(ROOT / "README.md"))
    linked += [f"core/{link}" for link in re.findall(r"\]\(([^)#\s]+)", read(CORE / "README.md"))]
    assert f"core/docs/{page.name}" in linked


def test_the_readme_is_short():
    assert len(read(ROOT / "README.md").splitlines()) <= README_LINES


def test_the_tree_has_every_package_and_module_at_the_top():
    tree = section(read(CORE / "README.md"), "The tree")
    named = set(re.findall(r"^  (?=\S)(\w+(?=/ )|\w+\.py(?:, \w+\.py)*)", tree, re.MULTILINE))
    named = {name for names in named for name in names.split(", ")}
    there = {path.name for path in SOURCE.iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()}
    assert named == there - {"__init__.py"}


def test_the_way_of_a_call_names_files_that_exist():
    way = section(read(CORE / "README.md"), "A call, file by file")
    steps = re.findall(r"^([> ]) ([\w/]+\.py)", way, re.MULTILINE)
    transport = ROOT / "plugins" / "transport-http" / "src" / "mcp_gateway_transport_http"
    assert len(steps) > 20
    assert [path for mark, path in steps if not ((transport if mark == ">" else SOURCE) / path).is_file()] == []


def test_the_glossary_is_in_order_and_has_a_line_a_word():
    words = re.findall(r"^\| (?!word |---)([^|]+) \| [^|]+ \|$", read(CORE / "GLOSSARY.md"), re.MULTILINE)
    assert len(words) > 30
    assert words == sorted(set(words), key=str.lower)


NAMED = re.compile(
    r"(?:pip3? install|pipx (?:install|run)|uv tool (?:install|run)|uv add|\buvx)(?: -[\w-]+(?!\S))*"
    r" [\'\"]?(?:mcp-gateway-\w|mcp-orchestration-gateway)(?![^\n\'\"`]*@ )"
)
"""A command that lets a package client look for one of our names on an index."""


@pytest.mark.parametrize(
    "command, wrong",
    [
        ("pip install mcp-gateway-core", True),
        ("pip install -q 'mcp-orchestration-gateway[oauth]'", True),
        ("uvx mcp-orchestration-gateway", True),
        ("uv tool install mcp-orchestration-gateway", True),
        ("uvx --from . mcp-orchestration-gateway", False),
        ("uv tool install 'mcp-orchestration-gateway[oauth] @ git+https://example.com'", False),
        ("uv tool install --index http://127.0.0.1:3141/simple/ mcp-orchestration-gateway", False),
        ("uv pip install ./plugins/ranker-bm25", False),
    ],
)
def test_a_command_that_asks_an_index_for_our_names_is_known(command, wrong):
    assert bool(NAMED.search(command)) == wrong


def test_nothing_tells_people_to_install_from_an_index_what_others_publish_there():
    written = [
        *PAGES,
        *ROOT.glob("plugins/*/README.md"),
        *ROOT.glob("tests/*/README.md"),
        ROOT / ".hatch" / "build_hook.py",
    ]
    written += [path for part in ("core", "plugins/*", "tests/kit") for path in ROOT.glob(f"{part}/src/**/*.py")]
    assert len(written) > 100
    assert [(path.name, NAMED.findall(read(path))) for path in written if NAMED.search(read(path))] == []
