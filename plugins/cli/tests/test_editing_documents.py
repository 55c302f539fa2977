"""Documents that are edited: what is wanted changes, and all else stays as it is."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mcp_gateway_cli.editing.document import decode_document
from mcp_gateway_cli.editing.errors import EditError

PROGRAMS = Path(__file__).parent / "program_files"
PLACES = {
    "claude_desktop.json": ("mcpServers",),
    "cline.json": ("mcpServers",),
    "codex.toml": ("mcp_servers",),
    "codex_dense.toml": ("mcp_servers",),
    "codex_inline.toml": ("mcp_servers",),
    "continue.yaml": ("mcpServers",),
    "crush.json": ("mcp",),
    "goose.yaml": ("extensions",),
    "librechat.yaml": ("mcpServers",),
    "native.json": ("servers",),
    "opencode.jsonc": ("mcp",),
    "vscode.json": ("servers",),
    "zed.json": ("context_servers",),
}
ENTRY = {"command": "uvx", "args": ["mcp-server-time", "--local"], "env": {"TZ": "Europe/Berlin"}}


def read(name):
    return decode_document((PROGRAMS / name).read_bytes(), PROGRAMS / name)


def document(text, name="x.json"):
    return decode_document(text.encode(), Path(name))


def place_of(name, found):
    held = found.find_value(PLACES[name])
    return (*PLACES[name], len(held) if isinstance(held, list) else "new one")


@pytest.mark.parametrize("name", PLACES)
def test_an_entry_that_is_added_and_removed_leaves_the_file_as_it_was(name):
    before = read(name)
    path = place_of(name, before)
    after = before.set_value(path, ENTRY)
    assert after.find_value(path) == ENTRY
    assert after.remove_value(path).text == before.text


@pytest.mark.parametrize("name", [name for name in PLACES if name != "cline.json"])  # that is one line
def test_every_line_of_the_file_survives_an_addition(name):
    before = read(name)
    rest = iter(before.set_value(place_of(name, before), ENTRY).text.splitlines())
    # A comma may be added to the line before.
    missing = [
        line
        for line in before.text.splitlines()
        if not any(new.replace(",", "") == line.replace(",", "") for new in rest)
    ]
    assert not missing


@pytest.mark.parametrize("name", PLACES)
def test_each_entry_can_be_switched_off_and_on_again_and_removed(name):
    before = read(name)
    held = before.find_value(PLACES[name])
    for key in range(len(held)) if isinstance(held, list) else held:
        path = (*PLACES[name], key)
        off = before.set_value((*path, "switched"), False)
        assert off.find_value((*path, "switched")) is False
        assert off.remove_value((*path, "switched")).text == before.text
        assert off.set_value((*path, "switched"), True).find_value((*path, "switched")) is True
        removed = before.remove_value(path)
        comments = [line.strip() for line in before.text.splitlines() if line.strip().startswith(("//", "#"))]
        kept = removed.text.splitlines()
        assert all(any(comment == line.strip() for line in kept) for comment in comments if "own" not in comment)


@pytest.mark.parametrize("ending", ["\n", "\r\n"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
@pytest.mark.parametrize("name", PLACES)
def test_line_breaks_and_byte_order_marks_stay(name, mark, ending):
    content = (mark + (PROGRAMS / name).read_text().replace("\n", ending)).encode()
    before = decode_document(content, Path(name))
    path = place_of(name, before)
    after = before.set_value(path, ENTRY)
    written = after.encode()
    assert written.startswith(mark.encode() + content[len(mark.encode()) :][:5])
    assert written.count(b"\n") == written.count(ending.encode())
    assert after.remove_value(path).encode() == content
    assert decode_document(written, Path(name)).value == after.value


def test_utf_16_stays_utf_16():
    content = '{\r\n\t"mcpServers": {}\r\n}'.encode("utf-16")
    after = decode_document(content, Path("x.json")).set_value(("mcpServers", "a"), {"command": "x"})
    assert (
        after.encode().decode("utf-16")
        == '{\r\n\t"mcpServers": {\r\n\t\t"a": {\r\n\t\t\t"command": "x"\r\n\t\t}\r\n\t}\r\n}'
    )


JSON_CASES = [
    ("", '{\n  "mcpServers": {\n    "a": {\n      "url": "u"\n    }\n  }\n}\n'),
    ("{}", '{\n  "mcpServers": {\n    "a": {\n      "url": "u"\n    }\n  }\n}'),
    ('{"b":1}', '{"b":1,"mcpServers":{"a":{"url":"u"}}}'),
    ('{"b": [1, 2]}', '{"b": [1, 2], "mcpServers": {"a": {"url": "u"}}}'),
    (
        '{\n\t"b": 1 // why\n}\n',
        '{\n\t"b": 1, // why\n\t"mcpServers": {\n\t\t"a": {\n\t\t\t"url": "u"\n\t\t}\n\t}\n}\n',
    ),
    ('{\n  "b": 1,\n}\n', '{\n  "b": 1,\n  "mcpServers": {\n    "a": {\n      "url": "u"\n    }\n  },\n}\n'),
    (
        '{\n  "mcpServers": {\n    // none yet\n  }\n}\n',
        '{\n  "mcpServers": {\n    // none yet\n    "a": {\n      "url": "u"\n    }\n  }\n}\n',
    ),
    (
        '{\n  "mcpServers": {\n    "x": { "url": "v" }\n  }\n}\n',
        '{\n  "mcpServers": {\n    "x": { "url": "v" },\n    "a": {"url": "u"}\n  }\n}\n',
    ),
    ('{\n  "mcpServers": null\n}\n', '{\n  "mcpServers": {\n    "a": {\n      "url": "u"\n    }\n  }\n}\n'),
    ('{"mcpServers": {"a": {"url": "v", /* ! */ "x": 1}}}', '{"mcpServers": {"a": {"url": "u" /* ! */}}}'),
]


@pytest.mark.parametrize("before, after", JSON_CASES)
def test_json_is_written_in_the_style_of_the_file(before, after):
    assert document(before).set_value(("mcpServers", "a"), {"url": "u"}).text == after


TOML_CASES = [
    ("", '[mcp_servers.a]\nurl = "u"\n'),
    ('model = "x" # m\n', 'model = "x" # m\n\n[mcp_servers.a]\nurl = "u"\n'),
    ('[mcp_servers]\nb = { url = "v" }\n', '[mcp_servers]\nb = { url = "v" }\na = { url = "u" }\n'),
    ('mcp_servers = { b = { url = "v" } } # c\n', 'mcp_servers = { b = { url = "v" }, a = { url = "u" } } # c\n'),
    ('mcp_servers.b.url = "v"\n', 'mcp_servers.b.url = "v"\nmcp_servers.a = { url = "u" }\n'),
    (
        '[mcp_servers.b]\nurl = "v"\n# next\n\n[tui]\nx = """\n[mcp_servers.z]\n"""\n',
        '[mcp_servers.b]\nurl = "v"\n\n[mcp_servers.a]\nurl = "u"\n# next\n\n[tui]\nx = """\n[mcp_servers.z]\n"""\n',
    ),
    ('[mcp_servers.a]\nurl = "v" # it\nx = [\n  1, # one\n]\n', '[mcp_servers.a]\nurl = "u" # it\n'),
    ('[mcp_servers.a]\n[mcp_servers.b]\nurl="x"', '[mcp_servers.a]\nurl = "u"\n[mcp_servers.b]\nurl="x"'),
]


@pytest.mark.parametrize("before, after", TOML_CASES)
def test_toml_is_written_in_the_style_of_the_file(before, after):
    assert document(before, "x.toml").set_value(("mcp_servers", "a"), {"url": "u"}).text == after


YAML_CASES = [
    ("", "mcpServers:\n  a:\n    url: u\n"),
    ("# only this\n", "# only this\nmcpServers:\n  a:\n    url: u\n"),
    ("mcpServers: {}\n", "mcpServers:\n  a:\n    url: u\n"),
    ("mcpServers: # none\nz: 1\n", "mcpServers: # none\n  a:\n    url: u\nz: 1\n"),
    ("mcpServers:\nz: 1\n", "mcpServers:\n  a:\n    url: u\nz: 1\n"),
    ("mcpServers: {b: {url: v}} # c\n", "mcpServers: {b: {url: v}, a: {url: u}} # c\n"),
    (
        "mcpServers:\n    b:\n        url: v # c\n\n# end\n",
        "mcpServers:\n    b:\n        url: v # c\n    a:\n      url: u\n\n# end\n",
    ),
    (
        "mcpServers:\n  a:\n    # why\n    url: v # c\n    x:\n    - 1\n",
        "mcpServers:\n  a:\n    # why\n    url: u # c\n",
    ),
    ("z: |\n  text\n\n", "z: |\n  text\nmcpServers:\n  a:\n    url: u\n\n"),
]


@pytest.mark.parametrize("before, after", YAML_CASES)
def test_yaml_is_written_in_the_style_of_the_file(before, after):
    assert document(before, "x.yaml").set_value(("mcpServers", "a"), {"url": "u"}).text == after


@pytest.mark.parametrize(
    "name, text, path, words",
    [
        ("x.json", '{"mcpServers": ["a"]}', ("mcpServers", "a"), "mcpServers is no object"),
        ("x.json", '{"mcpServers": {"a": "npx foo"}}', ("mcpServers", "a", "disabled"), "mcpServers.a is no object"),
        ("x.json", "[]", ("mcpServers", "a"), "the whole is no object"),
        ("x.yaml", "b: &x {url: v}\nmcpServers: *x\n", ("mcpServers", "a"), "alias"),
        ("x.toml", "[a]\nx=1\n[a]\nx=2\n", ("mcp_servers", "a"), "stands twice"),
        ("x.toml", "x = 1\n", ("mcp_servers", "a", "b"), "TOML has no null"),
    ],
)
def test_what_cannot_be_edited_is_refused_with_words(name, text, path, words):
    with pytest.raises(EditError, match=words):
        document(text, name).set_value(path, None if "null" in words else {"url": "u"})


def test_a_mistake_in_the_file_is_shown_with_its_place():
    with pytest.raises(Exception, match="line 2, column 3"):
        document("{\n  mcpServers: {}\n}").set_value(("a",), 1)


def test_removing_what_is_not_there_is_an_error():
    with pytest.raises(EditError, match=r"there is no mcpServers[.]a"):
        document("{}").remove_value(("mcpServers", "a"))


KEYS = st.text(st.characters(codec="utf-8", exclude_categories=("Cs", "Cc")), min_size=1, max_size=6)
SCALARS = st.one_of(
    st.booleans(),
    st.integers(-(2**53), 2**53),
    st.text(st.characters(codec="utf-8", exclude_categories=("Cs", "Cc")), max_size=8),
    st.sampled_from(
        ["yes", "null", "1", "2024-01-01", "${A}", "# x", "a: b", "- x", "https://x.y/z?a=b#c", '"', "\\", "\t", "\n"]
    ),
)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3), max_leaves=6
)
OBJECTS = st.dictionaries(KEYS, VALUES, min_size=1, max_size=3)
SYNTAXES = ["x.json", "x.toml", "x.yaml"]
PLENTY = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@pytest.mark.parametrize("name", SYNTAXES)
@PLENTY
@given(entries=st.dictionaries(KEYS, OBJECTS, min_size=1, max_size=3), key=KEYS, value=OBJECTS)
def test_what_is_set_is_read_back_and_what_is_removed_leaves_no_trace(name, entries, key, value):
    before = document("", name)
    for other, entry in entries.items():
        before = before.set_value(("servers", other), entry)
    assert before.value == {"servers": entries}
    if key in entries:
        return
    after = before.set_value(("servers", key), value)
    assert after.find_value(("servers", key)) == value
    assert after.remove_value(("servers", key)).text == before.text
    assert json.dumps(decode_document(after.encode(), Path(name)).value, sort_keys=True) == json.dumps(
        {"servers": {**entries, key: value}}, sort_keys=True
    )


@st.composite
def strange_json(draw):
    """JSON with any white space, comments and trailing commas."""
    gap = st.sampled_from(["", " ", "\n", "\n  ", " // c }\n", "/* , */", "\t", "\r\n"])

    def write(value):
        around = [draw(gap) for _ in range(2)]
        if isinstance(value, dict) and value:
            parts = [f"{draw(gap)}{json.dumps(key)}{draw(gap)}:{write(item)}" for key, item in value.items()]
            return f"{around[0]}{{{','.join(parts)}{draw(st.sampled_from(['', ',']))}{draw(gap)}}}{around[1]}"
        if isinstance(value, list) and value:
            return f"{around[0]}[{','.join(map(write, value))}]{around[1]}"
        return f"{around[0]}{json.dumps(value, ensure_ascii=False)}{around[1]}"

    held = draw(st.dictionaries(KEYS, OBJECTS, min_size=1, max_size=3))
    return write({"x": 1, "servers": held}), held


@PLENTY
@given(strange_json(), KEYS, OBJECTS)
def test_json_in_any_layout_is_edited_without_loss(layout, key, value):
    text, held = layout
    before = document(text)
    assert before.find_value(("servers",)) == held
    after = before.set_value(("servers", key), value)
    assert after.value == {"x": 1, "servers": {**held, key: value}}
    for comment in ("// c }", "/* , */"):
        assert after.text.count(comment) == text.count(comment) or key in held
    for other in held:
        assert other not in before.remove_value(("servers", other)).find_value(("servers",))
