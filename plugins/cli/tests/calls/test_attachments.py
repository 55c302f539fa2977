"""Images and files of a result, saved where a person says."""

from __future__ import annotations

import base64
import os
from pathlib import Path

import pytest
from mcp_gateway_cli.calls.attachments import check_target, read_attachment, read_files, save_files

from mcp_gateway.plugin import ConfigError, UsageError

PNG = base64.b64encode(b"\x89PNG").decode()


def image(data=PNG, mime="image/png"):
    return {"type": "image", "data": data, "mimeType": mime}


def file(uri, **more):
    return {"type": "resource", "resource": {"uri": uri, "blob": PNG, **more}}


def saved(target, *blocks):
    return [path.name for path in save_files(read_files({"content": list(blocks)}), target)]


@pytest.mark.parametrize(
    "block, name",
    [
        (image(), "image.png"),
        ({"type": "audio", "data": PNG, "mimeType": "audio/x-odd"}, "audio.bin"),
        (file("file:///a/report.pdf"), "report.pdf"),
        (file("file:///a/..%2F..%2Fetc%2Fpasswd"), "passwd.bin"),
        (file("file:///a/..%5C..%5Cevil.exe"), "evil.exe"),
        (file("file:///.bashrc"), "bashrc.bin"),
        (file("file:///con.txt"), "file-con.txt"),
        (file("file:///a%1B[2J%0Ab"), "a-2J-b.bin"),
        (file("file:///"), "file.bin"),
        (file("http://["), "file.bin"),
        (file("x:" + "a" * 500 + ".txt"), "a" * 76 + ".txt"),
        ({"type": "resource", "resource": {"uri": "file:///notes.txt", "text": "é"}}, "notes.txt"),
    ],
)
def test_a_name_of_the_server_leads_nowhere_else(tmp_path, block, name):
    assert saved(tmp_path, block) == [name]
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_in_a_folder_nothing_is_replaced(tmp_path):
    (tmp_path / "image.png").symlink_to(tmp_path / "elsewhere")
    assert saved(tmp_path, image(), image()) == ["image-2.png", "image-3.png"]
    assert not (tmp_path / "elsewhere").exists()


def test_a_file_that_a_person_names_is_written(tmp_path):
    target = tmp_path / "picture.png"
    target.write_bytes(b"old")
    assert saved(target, image()) == ["picture.png"]
    assert target.read_bytes() == b"\x89PNG"
    with pytest.raises(ConfigError, match="the result has 2 files: name a folder that is there"):
        saved(target, image(), image())


def test_data_that_is_not_base64_is_not_saved(tmp_path):
    assert saved(tmp_path, image(data="%%%"), image(data=None)) == []
    assert read_attachment(image(data="%%%")).data is None


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_cannot_be_written_is_said_before_the_call(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(UsageError, match="may not be written"):
        check_target(tmp_path / "x.png")


def test_a_folder_that_is_not_there_is_said_before_the_call(tmp_path):
    with pytest.raises(UsageError, match=r"there is no folder .*; make it first"):
        check_target(tmp_path / "no" / "x.png")
    check_target(tmp_path)
    check_target(Path("x.png"))
