"""What is built can be published: it is complete, has nothing too much, and is what an index of one's own gives."""

from __future__ import annotations

import ast
import configparser
import email
import itertools
import os
import re
import shlex
import sys
import tomllib
from pathlib import Path

import pytest

from .support.environments import ROOT, Home, assert_it_works, version
from .support.packages import NAMES, index, read_archive, sdist_of, wheel_of, write_stranger

META = "mcp-orchestration-gateway"


def test_every_package_of_the_repository_is_built(dist: Path) -> None:
    built = sorted(path.name for path in dist.iterdir() if path.suffix in {".whl", ".gz"})
    stems = sorted(f"{name.replace('-', '_')}-{version()}" for name in NAMES)
    assert built == sorted([f"{stem}.tar.gz" for stem in stems] + [f"{stem}-py3-none-any.whl" for stem in stems])


def test_an_index_would_take_them(dist: Path, home: Home) -> None:
    said = home.run(f"{shlex.quote(sys.executable)} -m twine check --strict {dist}/*.whl {dist}/*.gz")
    assert said.count("PASSED") == 2 * len(NAMES)


@pytest.mark.parametrize("name", sorted(NAMES))
def test_a_wheel_has_all_that_is_in_the_source_and_nothing_else(dist: Path, name: str) -> None:
    files = read_archive(wheel_of(dist, name))
    information = f"{name.replace('-', '_')}-{version()}.dist-info"
    source = NAMES[name] / "src"
    there = {
        str(path.relative_to(source)).replace(os.sep, "/"): path.read_bytes()
        for path in source.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert {file: data for file, data in files.items() if not file.startswith(information)} == there
    if name != META:
        (package,) = {file.partition("/")[0] for file in there}
        assert f"{package}/py.typed" in there
    assert files[f"{information}/licenses/LICENSE"] == (ROOT / "LICENSE").read_bytes()
    metadata = email.message_from_bytes(files[f"{information}/METADATA"])
    project = tomllib.loads((NAMES[name] / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    said = (metadata["Name"], metadata["Version"], metadata["License-Expression"])
    assert said == (name, version(), project["license"])
    page = files[f"{information}/METADATA"].partition(b"\n\n")[2]
    assert page.decode() == (NAMES[name] / "README.md").read_text(encoding="utf-8")


def test_the_wheel_of_the_command_line_has_the_templates(dist: Path) -> None:
    kinds = {
        file.split("/")[2]
        for file in read_archive(wheel_of(dist, "mcp-gateway-cli"))
        if file.startswith("mcp_gateway_cli/template/") and file.endswith(".tmpl")
    }
    assert kinds >= {"ranker", "storage", "auth", "client-transport", "server-transport", "command", "shared"}


@pytest.mark.parametrize("name", sorted(NAMES))
def test_a_source_distribution_has_what_the_wheel_is_built_from_and_no_tests(dist: Path, name: str) -> None:
    files = read_archive(sdist_of(dist, name))
    beside = {file for file in files if not file.startswith("src/")}
    assert beside - {".gitignore"} == {"LICENSE", "PKG-INFO", "README.md", "pyproject.toml"} | (
        {".hatch/build_hook.py", "CHANGELOG.md"} if name == META else set()
    )
    wheel = read_archive(wheel_of(dist, name))
    assert {file.removeprefix("src/") for file in files if file.startswith("src/")} == {
        file for file in wheel if ".dist-info/" not in file
    }


@pytest.mark.parametrize("name", sorted(NAMES))
def test_nothing_of_the_machine_that_built_it_is_inside(dist: Path, name: str) -> None:
    machine = [str(ROOT), str(dist.parent), str(Path.home()), sys.prefix]
    pattern = re.compile("|".join(re.escape(place) + r"(?=[/\"'\s]|$)" for place in machine if place != "/").encode())
    for archive in (wheel_of(dist, name), sdist_of(dist, name)):
        assert [file for file, data in read_archive(archive).items() if pattern.search(data)] == []


def test_the_packages_that_belong_together_ask_for_each_other(dist: Path) -> None:
    for name, folder in NAMES.items():
        project = tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8"))["project"]
        wanted = [*project["dependencies"], *itertools.chain(*project.get("optional-dependencies", {}).values())]
        ours = {
            re.split(r"[^\w.-]", requirement)[0] for requirement in wanted if requirement.startswith("mcp-gateway-")
        }
        assert ours <= set(NAMES), name
        if name != "mcp-gateway-core":
            assert "mcp-gateway-core" in ours


def test_an_index_of_ones_own_gives_ours_whatever_else_has_the_name(dist: Path, home: Home, tmp_path: Path) -> None:
    others = tmp_path / "others"
    others.mkdir()
    write_stranger(others, META, "0.1.1")
    write_stranger(others, "mcp-gateway-core", "1.99")
    with index(tmp_path / "own", dist) as own, index(tmp_path / "strange", others) as strangers:
        home.run(f"uv tool install -q --index {own} --index {strangers} {META}")
        python = home.folder / ".local" / "share" / "uv" / "tools" / META / "bin" / "python"
        installed = home.run(f"uv pip freeze -p {python}").splitlines()
        ours = {name for name in NAMES if f"{name}=={version()}" in installed}
        assert {line.partition("==")[0] for line in installed if line.startswith("mcp-gateway-")} == ours - {META}
        assert META in ours
        for name in ours:
            assert_it_is_what_was_built(home, python, dist, name)
        assert_it_works(home, META, home.folder)
        assert_it_works(home, "mcp-gateway", home.folder)


def assert_it_is_what_was_built(home: Home, python: Path, dist: Path, name: str) -> None:
    """Compare the files of an installed distribution with those of the wheel."""
    listed = home.run(
        f"{python} -c \"from importlib.metadata import files\nprint([str(f.locate()) for f in files('{name}')])\""
    )
    paths: list[str] = ast.literal_eval(listed)
    there = {path.partition("site-packages/")[2]: path for path in paths}
    for file, data in read_archive(wheel_of(dist, name)).items():
        if not file.endswith("/RECORD"):
            assert Path(there[file]).read_bytes() == data


def test_every_command_names_a_function_that_is_built(dist: Path) -> None:
    wheels = {name: read_archive(wheel_of(dist, name)) for name in NAMES}
    there = {file for files in wheels.values() for file in files}
    commands: dict[str, set[str]] = {}
    for name, files in wheels.items():
        parser = configparser.ConfigParser(delimiters="=")
        parser.read_string(files.get(f"{name.replace('-', '_')}-{version()}.dist-info/entry_points.txt", b"").decode())
        for command, target in parser.items("console_scripts") if "console_scripts" in parser else []:
            commands.setdefault(command, set()).add(target)
    assert set(commands) >= {META, "mcp-gateway"}
    for targets in commands.values():
        (target,) = targets  # whichever package is installed last, the command is the same
        assert target.partition(":")[0].replace(".", "/") + ".py" in there
