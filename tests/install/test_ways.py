"""Every way of core/docs/install.md installs, updates and removes the gateway, in an empty home."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from .support.environments import COMMIT, ROOT, Home, assert_it_works, version
from .support.packages import build_all, index, write_index

PAGE = (ROOT / "core" / "docs" / "install.md").read_text(encoding="utf-8")
ADDRESS = "https://github.com/mcp-orchestration-gateway/mcp-orchestration-gateway"
INDEX = "http://127.0.0.1:3141/simple/"
PROGRAM = "mcp-orchestration-gateway"
NEXT = "1.999.0"
WHAT_RUNS = "import sys, mcp_gateway as m; print(m.CHANGED, m.__file__, sys.prefix)"


def blocks() -> list[object]:
    """Return the commands of each block of the page that installs something; those that take long are called slow."""
    found: list[object] = []
    for section in PAGE.split("\n## ")[1:]:
        heading = re.sub(r"\W+", "-", section.partition("\n")[0]).strip("-")
        for number, block in enumerate(re.findall(r"^```console\n(.*?)^```", section, re.DOTALL | re.MULTILINE), 1):
            lines = [line.removeprefix("$ ") for line in block.splitlines()]
            if lines[0].startswith(("uv", "UV_", "pip", "python3", "R=")):
                slow = not (heading.startswith("With-uv") and number == 1)
                found.append(pytest.param(lines, id=f"{heading}-{number}{'-slow' * slow}"))
    return found


@pytest.mark.parametrize("lines", blocks())
def test_a_way_installs_updates_and_removes(lines: list[str], home: Home, repository: Path, tmp_path: Path) -> None:
    home.run(f"git clone -q {repository} upstream && git clone -q upstream clone")
    upstream, clone = home.folder / "upstream", home.folder / "clone"
    with index(tmp_path / "index") as own:
        write_index(tmp_path / "index", build_all(home, clone)) if INDEX in lines[0] else None
        install, update, remove = (line.replace(ADDRESS, f"file://{upstream}").replace(INDEX, own) for line in lines)
        home.run(install, clone)
        program, python = names_of(install, home, clone)
        assert_it_works(home, program, clone)
        change(home, upstream, to := NEXT if INDEX in lines[0] else version())
        if INDEX in lines[0]:
            home.run("git pull -q && rm -r dist", clone)
            write_index(tmp_path / "index", build_all(home, clone))
        home.run(update, clone)
        assert home.run(f"{program} --version", clone) == f"{PROGRAM} {to}\n"
        changed, file, prefix = home.run(f"{python} -c '{WHAT_RUNS}'", clone).split()
        assert changed == "True"
        assert Path(file).is_relative_to(clone if "--from '." in install else prefix)
        home.run(remove, clone)
    if not program.startswith("uvx"):
        assert not Path(shutil.which(program, path=str(clone)) or program).exists()


def names_of(install: str, home: Home, clone: Path) -> tuple[str, str]:
    """Return how the gateway is called once it is installed, and the Python that it runs in."""
    if install.startswith("uvx"):
        program = install.removesuffix(" --version")
        return program, program.removesuffix(PROGRAM) + "python"
    if ".venv" in install or "uv venv" in install:
        return str(clone / ".venv" / "bin" / PROGRAM), str(clone / ".venv" / "bin" / "python")
    link = home.folder / ".local" / "bin" / PROGRAM
    return str(link), str(link.resolve().with_name("python"))


def change(home: Home, upstream: Path, to: str) -> None:
    """Commit a change upstream that can be seen; an index wants another version for that, the other ways none."""
    for page in upstream.rglob("pyproject.toml"):
        lines = page.read_text(encoding="utf-8").replace(f'\nversion = "{version()}"\n', f'\nversion = "{to}"\n')
        page.write_text(lines, encoding="utf-8")
    with (upstream / "core" / "src" / "mcp_gateway" / "__init__.py").open("a", encoding="utf-8") as module:
        module.write("\nCHANGED = True\n")
    home.run(COMMIT, upstream)
