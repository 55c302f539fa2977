"""Files that are edited: mode, links, changes by others, the journal and undoing."""

from __future__ import annotations

import json
import os
import sys

import pytest
from mcp_gateway_cli.editing.errors import EditError, FileChanged
from mcp_gateway_cli.editing.files import open_file
from mcp_gateway_cli.editing.journal import Batch, Journal, new_batch

NO_BATCH = Batch()
PLACE = ("mcpServers", "gateway")
posix = pytest.mark.skipif(sys.platform == "win32", reason="modes, owners and links of POSIX")


@pytest.fixture
def journal(tmp_path):
    return Journal(tmp_path / "state" / "edits")


def edit(path, journal=None, batch=NO_BATCH, value="x"):
    file = open_file(path)
    return file.save(file.document.set_value(PLACE, {"command": value}), journal, batch)


def test_a_file_that_is_not_there_is_made_for_its_owner_only(tmp_path):
    path = tmp_path / "new" / "mcp.json"
    assert edit(path)
    assert open_file(path).document.value == {"mcpServers": {"gateway": {"command": "x"}}}
    if sys.platform != "win32":
        assert path.stat().st_mode & 0o777 == 0o600


def test_saving_what_is_there_already_writes_nothing(tmp_path):
    path = tmp_path / "mcp.json"
    edit(path)
    made = path.stat().st_ino
    assert not edit(path)
    assert path.stat().st_ino == made


@posix
def test_mode_and_link_stay(tmp_path):
    real, link = tmp_path / "dotfiles" / "mcp.json", tmp_path / "mcp.json"
    real.parent.mkdir()
    real.write_text("{}")
    real.chmod(0o640)
    link.symlink_to(real)
    edit(link)
    assert link.is_symlink()
    assert real.stat().st_mode & 0o777 == 0o640
    assert b"gateway" in real.read_bytes()
    assert [found.name for found in real.parent.iterdir()] == ["mcp.json"]


@posix
@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root may give files away")
def test_the_owner_stays(tmp_path):
    path = tmp_path / "mcp.json"
    path.write_text("{}")
    os.chown(path, 1234, 2345)
    edit(path)
    assert (path.stat().st_uid, path.stat().st_gid) == (1234, 2345)


def test_a_file_that_changed_meanwhile_is_not_overwritten(tmp_path, journal):
    path = tmp_path / "mcp.json"
    path.write_text("{}")
    file = open_file(path)
    path.write_text('{"other": 1}')
    with pytest.raises(FileChanged, match="another program has changed it"):
        file.save(file.document.set_value(PLACE, {}), journal)
    assert path.read_text() == '{"other": 1}'
    assert not journal.list_edits()


@posix
def test_a_file_that_is_read_only_is_refused(tmp_path):
    path = tmp_path / "mcp.json"
    path.write_text("{}")
    path.chmod(0o444)
    with pytest.raises(EditError, match="it is read-only; make it writable"):
        edit(path)
    assert path.read_text() == "{}"


@posix
def test_a_link_to_nothing_and_a_folder_are_refused(tmp_path):
    link = tmp_path / "mcp.json"
    link.symlink_to(tmp_path / "gone")
    with pytest.raises(EditError, match="link to a file that does not exist"):
        open_file(link)
    with pytest.raises(EditError, match="it is a folder"):
        open_file(tmp_path)


def test_undoing_puts_every_byte_back(tmp_path, journal):
    path = tmp_path / "settings.json"
    before = b'\xef\xbb\xbf{ // mine\r\n\t"a" : 1 ,\r\n}'
    path.write_bytes(before)
    batch = new_batch("connect", ["zed"], tmp_path / "servers.json")
    edit(path, journal, batch)
    made = tmp_path / "made.json"
    edit(made, journal, batch)
    (edits,) = journal.list_batches()
    assert {each.batch for each in edits} == {batch}
    assert (batch.verb, batch.targets, batch.configuration) == ("connect", ("zed",), tmp_path / "servers.json")
    assert [each.path for each in edits] == [path, made]
    assert edits[0].backup.read_bytes() == before
    assert all(journal.undo(each) for each in reversed(edits))
    assert path.read_bytes() == before
    assert not made.exists()
    assert not journal.list_edits()


def test_a_batch_is_the_newest_as_soon_as_one_of_its_edits_is(tmp_path, journal):
    first, second = (new_batch(verb, [], tmp_path) for verb in ("init", "add"))
    for name, batch in (("a", first), ("b", second), ("c", first)):
        edit(tmp_path / f"{name}.json", journal, batch)
    assert [[each.path.stem for each in edits] for edits in journal.list_batches()] == [["b"], ["a", "c"]]


def test_an_edit_of_a_release_that_kept_less_can_be_undone(tmp_path, journal):
    edit(tmp_path / "a.json", journal, new_batch("add", ["a"], tmp_path))
    (record,) = journal.folder.glob("*/edit.json")
    kept = json.loads(record.read_bytes())
    for key in ("targets", "configuration"):
        del kept[key]
    record.write_text(json.dumps(kept))
    ((old,),) = journal.list_batches()
    assert (old.batch.verb, old.batch.targets, old.batch.configuration) == ("add", (), None)
    assert journal.undo(old)


def test_undoing_leaves_what_somebody_else_changed(tmp_path, journal):
    path = tmp_path / "settings.json"
    path.write_text("{}")
    edit(path, journal)
    path.write_text(path.read_text() + "\n")
    (made,) = journal.list_edits()
    with pytest.raises(FileChanged, match="has been changed since, so it is left as it is; what was in it is in"):
        journal.undo(made)
    assert path.read_text().endswith("}\n")
    assert journal.list_edits() == [made]


def test_undoing_what_was_never_written_or_put_back_by_hand_changes_nothing(tmp_path, journal):
    path = tmp_path / "settings.json"
    path.write_text("{}")
    made = journal.record(path, b"{}", b"{ }")
    assert journal.undo(made) is False
    assert path.read_text() == "{}"
    assert not journal.list_edits()


def test_several_edits_of_one_file_are_undone_from_the_newest(tmp_path, journal):
    path = tmp_path / "settings.json"
    for value in "ab":
        edit(path, journal, value=value)
    first, second = journal.list_edits()
    with pytest.raises(FileChanged):
        journal.undo(first)
    journal.undo(second)
    journal.undo(first)
    assert not path.exists()


@posix
def test_the_journal_is_the_users_only(tmp_path, journal):
    path = tmp_path / "settings.json"
    path.write_text('{"secret": "s3cr3t"}')
    path.chmod(0o644)
    edit(path, journal)
    assert all(found.stat().st_mode & 0o077 == 0 for found in (journal.folder, *journal.folder.rglob("*")))


def test_a_record_that_was_never_finished_is_passed_over(tmp_path, journal):
    edit(tmp_path / "a.json", journal)
    (journal.folder / "20990101T000000.000000Z-aaaaaa").mkdir()
    assert len(journal.list_edits()) == 1
