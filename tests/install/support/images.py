"""The Containerfile, carried out by buildah in a chroot, on an image that is this machine's own Python."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .environments import ROOT

BASE = "localhost/this-machine"
_LINKS = ("bin", "sbin", "lib", "lib64")
_FOLDERS = ("usr", "tmp", "proc", "sys", "dev", "run", "var/lib", "root", "etc/ssl")
_FILES = ("passwd", "group", "nsswitch.conf", "ld.so.cache", "hosts", "resolv.conf")
_PASSED = ("SSL_CERT_FILE", "PIP_CERT", "REQUESTS_CA_BUNDLE", "UV_SYSTEM_CERTS", "PIP_INDEX_URL", "UV_INDEX_URL")


def missing() -> str:
    """Return what keeps buildah from working here."""
    if not sys.platform.startswith("linux") or os.geteuid():
        return "a chroot needs Linux and root"
    return "" if shutil.which("buildah") else "buildah is not installed"


@dataclass(frozen=True)
class Images:
    """Images and containers in a folder of their own."""

    folder: Path

    def buildah(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run buildah with its storage in this folder."""
        done = subprocess.run(
            self.command(*arguments), capture_output=True, text=True, check=False, timeout=900, stdin=subprocess.DEVNULL
        )
        assert not check or done.returncode == 0, f"{shlex.join(arguments)}\n{done.stdout}\n{done.stderr}"
        return done

    def command(self, *arguments: str) -> list[str]:
        """Return the command that runs buildah with its storage in this folder."""
        storage = ["--root", f"{self.folder}/root", "--runroot", f"{self.folder}/run", "--storage-driver", "vfs"]
        return ["buildah", *storage, *arguments]

    def make_base(self) -> None:
        """Make an image that has what a distribution's has beside /usr and Python; those are mounted."""
        tree = self.folder / "base"
        for name in _FOLDERS:
            (tree / name).mkdir(parents=True)
        for name in _LINKS:
            (tree / name).symlink_to(f"usr/{name}")
        for name in _FILES:
            if (source := Path("/etc", name)).exists():
                shutil.copy(source, tree / "etc" / name)
        shutil.copytree("/etc/ssl/certs", tree / "etc" / "ssl" / "certs", ignore_dangling_symlinks=True)
        (tree / sys.base_prefix.lstrip("/")).mkdir(parents=True, exist_ok=True)
        passed = [f"{name}={os.environ[name]}" for name in _PASSED if name in os.environ]
        environment = " ".join([f"PATH={sys.base_prefix}/bin:/usr/bin:/bin", "UV_SYSTEM_CERTS=1", *passed])
        recipe = self.folder / "Base"
        recipe.write_text(f"FROM scratch\nCOPY base/ /\nENV {environment}\n", encoding="utf-8")
        self.buildah("build", "-q", "-f", str(recipe), "-t", BASE, str(self.folder))

    def build(self, arguments: list[str]) -> None:
        """Carry out a recipe in the root of the repository."""
        here = ["--isolation", "chroot", *_mounts("/usr", sys.base_prefix), "--build-arg", f"PYTHON={BASE}"]
        command = self.command("build", *here, *arguments)
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=900)
        assert done.returncode == 0, done.stdout + done.stderr


def _mounts(*folders: str) -> list[str]:
    return [part for folder in folders for part in ("-v", f"{folder}:{folder}:ro")]


@dataclass(frozen=True)
class Container:
    """A container of an image, without a single program of the machine but Python."""

    images: Images
    name: str
    settings: dict[str, Any]

    @classmethod
    def of(cls, images: Images, image: str) -> Container:
        """Make a container of an image."""
        name = images.buildah("from", image).stdout.strip()
        said = json.loads(images.buildah("inspect", "--type", "image", image).stdout)
        return cls(images, name, said["Docker"]["config"])

    def command(self, *arguments: str, mounts: tuple[str, ...] = (), **variables: str) -> list[str]:
        """Return the command that runs a program in it; /usr has libraries only, and so there is no shell."""
        places = [
            *_mounts("/usr/lib", "/usr/lib64", sys.base_prefix),
            *(part for place in mounts for part in ("-v", place)),
        ]
        settings = [part for name, value in variables.items() for part in ("-e", f"{name}={value}")]
        return self.images.command("run", "--isolation", "chroot", *places, *settings, self.name, "--", *arguments)

    def run(self, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        """Run a program in it to its end."""
        command = self.command(*arguments, mounts=(), **variables)
        return subprocess.run(
            command, capture_output=True, text=True, check=False, timeout=120, stdin=subprocess.DEVNULL
        )


def descendants(pid: int) -> list[int]:
    """Return the processes that a process has started, the nearest first."""
    children = [
        int(child) for path in Path(f"/proc/{pid}/task").glob("*/children") for child in path.read_text().split()
    ]
    return [*children, *(deeper for child in children for deeper in descendants(child))]


def end_gracefully(serving: subprocess.Popen[str], program: str) -> None:
    """Send SIGTERM to a program in a container, as podman stop does."""
    # The last of those that name it: buildah's own process, which started it, does so, too.
    for pid in reversed(descendants(serving.pid)):
        if Path(f"/proc/{pid}/cmdline").read_text().split("\0")[1:2] == [program]:
            os.kill(pid, signal.SIGTERM)
            return
    raise AssertionError(f"{program} does not run")
