import json
import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from mcp_gateway_cli.main import main
from mcp_gateway_cli.plugin_verbs import KINDS
from mcp_gateway_cli.template import PREFIXES, TemplateError, write_plugin
from mcp_gateway_cli.template.installers import join_words

SECONDS = 300


def run(*command: str, cwd: Path, env: dict[str, str] | None = None) -> None:
    """Run a command; fail with what it said if it fails."""
    done = subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True, timeout=SECONDS, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def as_installed(folder: Path) -> dict[str, str]:
    """Describe a package as its installation would; return the environment in which it is found."""
    project = tomllib.loads((folder / "pyproject.toml").read_text())["project"]
    described = folder.parent / "site" / f"{folder.name.replace('-', '_')}-{project['version']}.dist-info"
    described.mkdir(parents=True)
    requires = "".join(f"Requires-Dist: {requirement}\n" for requirement in project["dependencies"])
    described.joinpath("METADATA").write_text(
        f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n{requires}"
    )
    points = "".join(f"{name} = {at}\n" for name, at in project["entry-points"]["mcp_gateway"].items())
    described.joinpath("entry_points.txt").write_text(f"[mcp_gateway]\n{points}")
    return {**os.environ, "PYTHONPATH": f"{folder / 'src'}{os.pathsep}{described.parent}"}


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_written_keeps_its_contract(kind, tmp_path):
    folder = write_plugin(kind, f"my-{kind}", tmp_path)
    run(sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", ".", cwd=folder, env=as_installed(folder))


@pytest.mark.parametrize("kind", KINDS)
def test_without_the_testkit_its_tests_are_skipped_with_a_reason(kind, tmp_path):
    folder = write_plugin(kind, f"my-{kind}", tmp_path)
    absent = folder / "absent.py"
    absent.write_text("import sys\nsys.modules['mcp_gateway_testkit'] = None\n")
    command = (sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-p", "absent", ".")
    environment = as_installed(folder)
    environment["PYTHONPATH"] += f"{os.pathsep}{folder}"
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == pytest.ExitCode.NO_TESTS_COLLECTED, done.stdout
    assert "mcp-gateway-testkit is not installed; README.md says where it comes from" in done.stdout
    assert "pip install pytest TESTKIT" in (folder / "README.md").read_text()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.skipif(shutil.which("ruff") is None, reason="ruff is not installed")
@pytest.mark.parametrize("name", ["x", "my-rather-long-name-for-a-plugin"])
def test_what_is_written_is_clean_whatever_its_name(kind, name, tmp_path):
    folder = write_plugin(kind, name, tmp_path)
    run("ruff", "check", ".", cwd=folder)


@pytest.mark.skipif(shutil.which("mypy") is None, reason="mypy is not installed")
def test_what_is_written_is_typed(tmp_path):
    folders = [write_plugin(kind, f"my-{kind}", tmp_path) for kind in KINDS]
    environment = {**os.environ, "MYPYPATH": os.pathsep.join(str(folder / "src") for folder in folders)}
    once = {"conftest.py": folders[0]}  # it is the same for all
    files = [
        str(file)
        for folder in folders
        for file in sorted(folder.rglob("*.py"))
        if once.get(file.name, folder) == folder
    ]
    run("mypy", "--strict", *files, cwd=tmp_path, env=environment)


@pytest.mark.parametrize("kind", KINDS)
def test_all_names_are_filled_in(kind, tmp_path):
    folder = write_plugin(kind, "quick-one", tmp_path)
    for file in folder.rglob("*"):
        assert not file.name.endswith(".tmpl")
        if file.is_file():
            assert not {"my-plugin", "my_plugin", "MyPlugin", "MY_PLUGIN"} & set(file.read_text().split())
            assert "plugin" not in file.name
    project = tomllib.loads((folder / "pyproject.toml").read_text())["project"]
    assert project["name"] == "quick-one"
    assert project["entry-points"] == {"mcp_gateway": {f"{PREFIXES[kind]}-quick-one": "quick_one"}}
    assert (folder / "src" / "quick_one" / "py.typed").exists()


@pytest.mark.parametrize(
    "name", ["", "Bad", "my_ranker", "-x", "1a", "a--b", "a-", "a b", "../up", "ä", "class", "json", "mcp", "x" * 41]
)
def test_a_name_that_cannot_be_used_is_refused_in_one_line(name, tmp_path):
    with pytest.raises(TemplateError, match="cannot be a plugin's name") as caught:
        write_plugin("ranker", name, tmp_path)
    assert "\n" not in str(caught.value)
    assert not list(tmp_path.iterdir())


def test_the_name_of_an_installed_plugin_is_refused(tmp_path):
    with pytest.raises(TemplateError, match=r"taken: mcp-gateway-ranker-bm25 is installed"):
        write_plugin("ranker", "bm25", tmp_path)


def test_a_folder_that_exists_is_left_alone(tmp_path):
    (tmp_path / "mine").mkdir()
    with pytest.raises(TemplateError, match="exists already"):
        write_plugin("ranker", "mine", tmp_path)
    assert not list((tmp_path / "mine").iterdir())


def test_a_folder_that_cannot_be_made_is_an_error_in_one_line(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(TemplateError, match="cannot write"):
        write_plugin("ranker", "mine", tmp_path / "file")


def test_every_kind_that_is_listed_has_a_template():
    assert {*KINDS} == {*PREFIXES}


def test_the_command_says_what_comes_next(tmp_path, capsys):
    assert main(["plugins", "new", "ranker", "mine", "--into", str(tmp_path)]) == 0
    _, install, _, test = capsys.readouterr().out.splitlines()
    assert install.endswith(join_words("-e", f"{tmp_path / 'mine'}[test]"))
    assert sys.executable in install
    assert test.strip() == join_words(sys.executable, "-m", "pytest", str(tmp_path / "mine"))


def test_programs_read_what_comes_next(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["plugins", "new", "ranker", "mine", "--json"]) == 0
    made = json.loads(capsys.readouterr().out)
    assert (made["folder"], made["kind"], made["name"]) == ("mine", "ranker", "mine")
    assert made["install"].endswith(join_words("-e", "./mine[test]"))
    assert made["test"] == join_words(sys.executable, "-m", "pytest", "mine")


def test_the_command_complains_in_one_line(tmp_path, capsys):
    assert main(["plugins", "new", "ranker", "json", "--into", str(tmp_path)]) == 1
    assert capsys.readouterr().err.count("\n") == 1
