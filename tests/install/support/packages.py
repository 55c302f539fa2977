"""The distributions of this repository, built, and an index that has them."""

from __future__ import annotations

import functools
import hashlib
import http.server
import re
import shutil
import tarfile
import threading
import tomllib
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .environments import ROOT, Home

FOLDERS = sorted(
    path.parent for part in (".", "core", "plugins/*", "tests/kit") for path in ROOT.glob(f"{part}/pyproject.toml")
)
NAMES = {
    tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8"))["project"]["name"]: folder
    for folder in FOLDERS
}


def build_all(home: Home, clone: Path) -> Path:
    """Build a wheel and a source distribution of each package of a clone, as the page says."""
    home.run("uv build -q --all-packages -o dist", clone)
    return clone / "dist"


def wheel_of(dist: Path, name: str) -> Path:
    """Return the wheel of a distribution."""
    (wheel,) = dist.glob(f"{name.replace('-', '_')}-*.whl")
    return wheel


def sdist_of(dist: Path, name: str) -> Path:
    """Return the source distribution of a distribution."""
    (sdist,) = dist.glob(f"{name.replace('-', '_')}-*.tar.gz")
    return sdist


def read_archive(path: Path) -> dict[str, bytes]:
    """Return what is in a wheel, or in a source distribution below its one folder."""
    if path.suffix == ".whl":
        with zipfile.ZipFile(path) as wheel:
            return {name: wheel.read(name) for name in wheel.namelist() if not name.endswith("/")}
    with tarfile.open(path) as sdist:
        files = {member.name: sdist.extractfile(member) for member in sdist if member.isfile()}
        return {name.partition("/")[2]: file.read() for name, file in files.items() if file}


def write_stranger(folder: Path, name: str, version: str) -> Path:
    """Write a wheel that has the name of one of ours and nothing in it."""
    stem = f"{name.replace('-', '_')}-{version}"
    path = folder / f"{stem}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as wheel:
        wheel.writestr(f"{stem}.dist-info/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        wheel.writestr(f"{stem}.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(f"{stem}.dist-info/RECORD", "")
    return path


class _Pages(http.server.SimpleHTTPRequestHandler):
    """The files of a folder, never taken from a cache."""

    def end_headers(self) -> None:
        """Say that the page may be another one next time."""
        self.send_header("Cache-Control", "no-cache")
        super().end_headers()

    def log_message(self, format: str, *arguments: object) -> None:
        """Say nothing."""


def write_index(folder: Path, *sources: Path) -> None:
    """Write the pages of a simple repository (PEP 503) for the distributions in some folders."""
    (folder / "files").mkdir(parents=True, exist_ok=True)
    pages: dict[str, list[str]] = {}
    for path in sorted(path for source in sources for path in source.iterdir() if path.suffix in {".whl", ".gz"}):
        shutil.copy(path, folder / "files")
        project = re.split(r"-\d", path.name)[0].replace("_", "-")
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        pages.setdefault(project, []).append(f'<a href="../../files/{path.name}#sha256={digest}">{path.name}</a>')
    for project, links in pages.items():
        (folder / "simple" / project).mkdir(parents=True, exist_ok=True)
        page = "<!DOCTYPE html><html><body>\n{}\n</body></html>\n".format("\n".join(links))
        (folder / "simple" / project / "index.html").write_text(page, encoding="utf-8")


@contextmanager
def index(folder: Path, *sources: Path) -> Iterator[str]:
    """Serve the distributions of some folders on loopback from another; yields the address of the index."""
    write_index(folder, *sources)
    handler = functools.partial(_Pages, directory=str(folder))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/simple/"
    finally:
        server.shutdown()
        server.server_close()
        thread.join(10)
