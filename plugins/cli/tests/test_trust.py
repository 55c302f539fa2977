"""`trust` on the command line."""

from __future__ import annotations

import json

from core.tests.config.test_trust import SERVERS, file
from mcp_gateway.config.sources import open_trust_store
from mcp_gateway.config.trust import Trust

__all__ = ["file"]


def test_the_command_trusts_lists_and_takes_back(run, file):
    code, out, _ = run("trust")
    assert (code, out.splitlines()[0]) == (0, f"trusted as it is now: {file} (servers: a)")
    assert "when it is restarted" in out
    assert open_trust_store().judge(file) is Trust.TRUSTED
    assert run("trust", "--list") == (0, f"{file}: trusted\n", "")
    file.write_text(f"{SERVERS}\n", encoding="utf-8")
    assert run("trust", "--list") == (0, f"{file}: has changed since it was trusted\n", "")
    file.unlink()
    assert run("trust", "--list") == (0, f"{file}: is gone\n", "")
    assert run("trust", "--remove", str(file.parent)) == (0, f"no longer trusted: {file}\n", "")
    assert run("trust", "--list") == (0, "nothing is trusted\n", "")


def test_programs_read_what_is_trusted(run, file):
    def ask(*words):
        code, out, err = run("trust", *words, "--json")
        assert (code, err) == (0, "")
        return json.loads(out)

    assert ask("--list") == {"files": []}
    assert ask() == {"trusted": str(file), "servers": ["a"]}
    assert ask("--list") == {"files": [{"file": str(file), "state": "trusted"}]}
    file.write_text(f"{SERVERS}\n", encoding="utf-8")
    assert ask("--list") == {"files": [{"file": str(file), "state": "changed"}]}
    assert ask("--remove") == {"removed": str(file)}


def test_the_command_says_what_it_cannot_do(run, file, monkeypatch):
    code, _, err = run("trust", "--remove")
    assert (code, "was not trusted; trust --list shows what is" in err) == (1, True)
    code, _, err = run("--config", "x.json", "trust")
    assert (code, "a file that --config names needs no trust" in err) == (1, True)
    file.write_text("{", encoding="utf-8")
    code, _, err = run("trust")
    assert (code, "server_config.json: line 1" in err) == (1, True)
    file.unlink()
    code, _, err = run("trust")
    assert (code, "server_config.json: there is no such file" in err) == (1, True)


def test_the_command_takes_nothing_from_the_folder_that_it_is_about(run, file):
    (file.parent / ".env").write_bytes(b"XDG_STATE_HOME=x\nA=\xff")
    assert run("trust")[0] == 0
