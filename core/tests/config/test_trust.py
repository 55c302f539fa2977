"""Trust in a folder's file of servers: given once, for exactly that content, and remembered for nobody else to read."""

from __future__ import annotations

import json
import os
import stat

import pytest

from mcp_gateway.config import trust as module
from mcp_gateway.config.sources import open_trust_store
from mcp_gateway.config.trust import Trust, TrustStore
from mcp_gateway.plugin import ConfigError

SERVERS = '{"servers": [{"name": "a", "url": "http://x"}]}'


@pytest.fixture
def store(tmp_path):
    return TrustStore(tmp_path / "state" / "trusted")


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "server_config.json"
    path.write_text(SERVERS, encoding="utf-8")
    return path


def test_a_file_is_trusted_as_it_is_and_no_longer_once_it_changes(store, file):
    assert store.judge(file) is Trust.UNKNOWN
    store.add(file, file.read_bytes())
    assert store.judge(file) is Trust.TRUSTED
    file.write_text(f"{SERVERS} ", encoding="utf-8")
    assert store.judge(file) is Trust.CHANGED
    file.write_text(SERVERS, encoding="utf-8")
    assert store.judge(file) is Trust.TRUSTED
    file.unlink()
    assert store.judge(file) is Trust.ABSENT


def test_the_same_content_in_another_folder_is_not_trusted(store, file, tmp_path):
    store.add(file, file.read_bytes())
    (tmp_path / "other").mkdir()
    other = tmp_path / "other" / file.name
    other.write_text(SERVERS, encoding="utf-8")
    assert store.judge(other) is Trust.UNKNOWN


def test_what_is_trusted_no_longer_is_as_it_was_before(store, file):
    store.add(file, file.read_bytes())
    assert store.remove(file)
    assert not store.remove(file)
    assert store.judge(file) is Trust.UNKNOWN
    assert store.list_files() == []


@pytest.mark.parametrize("kind", ["pipe", "folder", "dangling", "large"])
def test_what_is_no_ordinary_file_is_never_trusted_and_nobody_waits_for_it(store, file, monkeypatch, kind):
    store.add(file, file.read_bytes())
    if kind == "large":
        monkeypatch.setattr(module, "MAX_FILE_BYTES", 3)
    else:
        file.unlink()
    match kind:
        case "pipe":
            os.mkfifo(file)
        case "folder":
            file.mkdir()
        case "dangling":
            file.symlink_to("nowhere")
    assert store.judge(file) is Trust.CHANGED
    store.remove(file)
    assert store.judge(file) is Trust.UNKNOWN


def test_records_are_their_owners_only_and_leave_nothing_beside_them(store, file):
    store.add(file, file.read_bytes())
    store.add(file, b"other")
    (record,) = store.folder.iterdir()
    assert stat.S_IMODE(record.stat().st_mode) == 0o600
    assert stat.S_IMODE(store.folder.stat().st_mode) == 0o700


def test_a_record_that_cannot_be_written_leaves_what_there_was(store, file, monkeypatch):
    store.add(file, file.read_bytes())

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pathlib.Path.replace", full)
    with pytest.raises(ConfigError, match="No space left on device"):
        store.add(file, b"other")
    monkeypatch.undo()
    assert len(list(store.folder.iterdir())) == 1
    assert store.judge(file) is Trust.TRUSTED


@pytest.mark.parametrize("record", ["", "[]", "{}", '{"file": 3, "sha256": 3}', "\udcff"])
def test_a_record_that_is_damaged_trusts_nothing(store, file, record):
    store.add(file, file.read_bytes())
    (path,) = store.folder.iterdir()
    path.write_text(record, encoding="utf-8", errors="surrogateescape")
    assert store.judge(file) is Trust.UNKNOWN
    assert store.list_files() == []


# -- the command


def test_a_file_that_changes_between_two_looks_is_not_used(installed, file):
    from mcp_gateway.control.context import ControlContext

    open_trust_store().add(file, file.read_bytes())
    reading = ControlContext(is_serving=True)
    assert reading.source.is_checked
    file.write_text('{"servers": [{"name": "evil", "command": "sh"}]}', encoding="utf-8")
    assert reading.servers.specs == ()
    assert "has changed since it was trusted" in reading.servers.notices[0]
    with pytest.raises(ConfigError, match="has changed since it was trusted"):
        reading.reload_servers()


def test_a_file_that_is_wrong_in_many_places_names_each_server(installed, file):
    from mcp_gateway.control.context import ControlContext

    entries = [{"name": f"s{number}", "comand": "x"} for number in range(50)]
    file.write_text(json.dumps({"servers": entries}), encoding="utf-8")
    reading = ControlContext({"SERVER_CONFIG_PATH": str(file)}, is_serving=True)
    assert reading.servers.notices == ()
    assert [server.name for server in reading.servers.disabled] == [f"s{number}" for number in range(50)]
    assert sum("server 's" in warning for warning in reading.warnings) == 50
