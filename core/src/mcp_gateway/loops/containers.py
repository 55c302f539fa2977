"""Containers that a command starts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from mcp_gateway.loops.launchers import Words, split_assignment, to_set

ENGINES = frozenset({"docker", "podman", "nerdctl", "finch"})

HOST_NAMES = to_set("host.docker.internal gateway.docker.internal host.containers.internal host.lima.internal")
"""The names by which a container knows the machine that it runs on."""

_GLOBAL_VALUES = to_set("--context -c -H --host --config -l --log-level --url -n --namespace")
_FLAGS = to_set(
    "--detach --disable-content-trust --init --interactive --no-healthcheck --oom-kill-disable --privileged"
    " --publish-all --quiet --read-only --rm --sig-proxy --tty --replace --rmi --tls-verify --help --no-hosts"
)
_SHORT_FLAGS = "ditPq"


@dataclass(frozen=True, slots=True)
class Container:
    """A container: image, words, variables, and what it sees of the machine.

    `mounts` are paths of the machine by their paths in the container.
    """

    image: str
    words: tuple[str, ...] = ()
    variables: Mapping[str, str] = field(default_factory=dict)
    mounts: Mapping[str, str] = field(default_factory=dict)
    has_host_network: bool = False

    def find_outside(self, path: str) -> Path | None:
        """Return the path on the machine of one in the container."""
        for inside, outside in sorted(self.mounts.items(), key=lambda pair: -len(pair[0])):
            root = inside.rstrip("/")
            if path == root or path.startswith(f"{root}/"):
                return Path(outside + path[len(root) :]).expanduser()
        return None


def read_container(words: list[str]) -> Container | None:
    """Read the words of `run`; None if it is another verb."""
    reading = Words(list(words))
    reading.skip_options(_GLOBAL_VALUES)
    if reading.left[:2] == ["container", "run"]:
        del reading.left[:1]
    if reading.left[:1] != ["run"]:
        return None
    del reading.left[:1]
    given = _read_options(reading.left)
    if not reading.left:
        return None
    image, *rest = reading.left
    entry = next(iter(_values(given, "--entrypoint")), "")
    return Container(
        image,
        tuple([entry, *rest] if entry else rest),
        dict(pair for value in _values(given, "-e", "--env") if (pair := split_assignment(value)) is not None),
        {**dict(_read_volumes(_values(given, "-v", "--volume"))), **dict(_read_mounts(_values(given, "--mount")))},
        "host" in _values(given, "--network", "--net"),
    )


def _read_options(left: list[str]) -> dict[str, list[str]]:
    """Take the options of `run`: all but a few have a value."""
    given: dict[str, list[str]] = {}
    while left and left[0].startswith("-"):
        word = left.pop(0)
        if word == "--":
            break
        name, joined, value = word.partition("=")
        if not name.startswith("--") and len(name) > 1:
            flags = name[1:].lstrip(_SHORT_FLAGS)
            if not flags:
                continue
            # -ePORT=1, and -ite PORT=1
            name, value, joined = f"-{flags[0]}", word.partition(flags[0])[2], word.partition(flags[0])[2]
        elif name in _FLAGS:
            continue
        if not joined:
            value = left.pop(0) if left else ""
        given.setdefault(name, []).append(value)
    return given


def _values(given: Mapping[str, list[str]], *names: str) -> list[str]:
    return [value for name in names for value in given.get(name, ())]


def _read_volumes(volumes: Iterable[str]) -> Iterator[tuple[str, str]]:
    for volume in volumes:
        drive = volume[:2] if volume[1:2] == ":" and volume[2:3] in {"\\", "/"} else ""
        outside, _, rest = volume[len(drive) :].partition(":")
        if rest:
            yield rest.partition(":")[0], drive + outside


def _read_mounts(mounts: Iterable[str]) -> Iterator[tuple[str, str]]:
    for mount in mounts:
        keys = {name: value for part in mount.split(",") for name, _, value in [part.partition("=")]}
        inside = keys.get("target") or keys.get("destination") or keys.get("dst")
        outside = keys.get("source") or keys.get("src")
        if inside and outside and keys.get("type", "bind") == "bind":
            yield inside, outside
