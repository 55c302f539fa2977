"""Programs that start another program, which their words name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Launcher:
    """The way from the words of a launcher to its program.

    * `valued`: options whose value is the next word.
    * `verbs`: words of which one must come first; none if there are no verbs.
    * `operands`: how many words come before the program.
    * `module_options`: options whose value is a Python module to run.
    * `package_options`: options that name the package that has the program.
    * `script_options`: options whose value is a line for a shell.
    * `fetches`: whether the program is the name of a package.
    """

    valued: frozenset[str] = frozenset()
    verbs: tuple[tuple[str, ...], ...] = ()
    operands: int = 0
    module_options: frozenset[str] = frozenset()
    package_options: frozenset[str] = frozenset()
    script_options: frozenset[str] = frozenset()
    fetches: bool = False


def to_set(text: str) -> frozenset[str]:
    """Return the words of a text."""
    return frozenset(text.split())


_UV_OPTIONS = to_set(
    "--with --with-editable --with-requirements -p --python --index --default-index -i --index-url --extra-index-url -f"
    " --find-links --refresh-package --directory --project --config-file --cache-dir --env-file -c --constraints"
    " --overrides -b --build-constraints --resolution --prerelease --fork-strategy --exclude-newer --link-mode -C"
    " --config-setting --keyring-provider --index-strategy -P --upgrade-package --reinstall-package --color"
    " --allow-insecure-host --no-build-package --no-binary-package --torch-backend --python-preference -w --extra"
    " --group --only-group --no-group --no-extra --package --python-platform --no-build-isolation-package"
)
_UVX = Launcher(_UV_OPTIONS | {"--from"}, package_options=frozenset({"--from"}), fetches=True)
_NPX = Launcher(
    to_set("-p --package -c --call -w --workspace --registry --prefix --cache --userconfig --loglevel --node-options"),
    package_options=to_set("-p --package"),
    script_options=to_set("-c --call"),
    fetches=True,
)
_NPM_EXEC = Launcher(
    _NPX.valued,
    verbs=(("exec",), ("x",)),
    package_options=_NPX.package_options,
    script_options=_NPX.script_options,
    fetches=True,
)
_SUDO = Launcher(to_set("-u -g -h -p -C -D -R -T -U -r -t --user --group --host --prompt --chdir --chroot"))
_CONDA = Launcher(to_set("-n --name -p --prefix --cwd -r --root-prefix"), verbs=(("run",),))
_TRACE = Launcher(to_set("-o -e -f -p -s -u -P -I -O -S -X -a -b -n"))

LAUNCHERS: Mapping[str, tuple[Launcher, ...]] = {
    "arch": (Launcher(),),
    "asdf": (Launcher(verbs=(("exec",),)),),
    "aws-vault": (Launcher(verbs=(("exec",),), operands=1),),
    "builtin": (Launcher(),),
    "bun": (Launcher(verbs=(("x",),), fetches=True), Launcher(to_set("--cwd -c --config"), verbs=(("run",),))),
    "bunx": (_NPX,),
    "caffeinate": (Launcher(to_set("-t -w")),),
    "call": (Launcher(),),
    "chronic": (Launcher(),),
    "chrt": (Launcher(to_set("-T -P -D"), operands=1),),
    "command": (Launcher(),),
    "conda": (_CONDA,),
    "corepack": (Launcher(),),
    "cross-env": (Launcher(),),
    "direnv": (Launcher(verbs=(("exec",),), operands=1),),
    "doas": (Launcher(to_set("-u -C")),),
    "doppler": (Launcher(to_set("-p --project -c --config -t --token --scope"), verbs=(("run",),)),),
    "dotenv": (
        Launcher(to_set("-f --file -e -v -p -q"), verbs=(("run",),)),
        Launcher(to_set("-f --file -e -v -p")),
    ),
    "dotenvx": (Launcher(to_set("-f --env-file -e --env"), verbs=(("run",),)),),
    "exec": (Launcher(to_set("-a")),),
    "firejail": (Launcher(),),
    "flock": (Launcher(to_set("-w -E --timeout --conflict-exit-code"), operands=1),),
    "gtimeout": (Launcher(to_set("-k -s --kill-after --signal"), operands=1),),
    "hatch": (Launcher(to_set("-e --env -p --project"), verbs=(("run",),)),),
    "infisical": (Launcher(to_set("--env --path --projectId --token --domain"), verbs=(("run",),)),),
    "ionice": (Launcher(to_set("-c -n -p -P -u --class --classdata")),),
    "mamba": (_CONDA,),
    "micromamba": (_CONDA,),
    "mise": (Launcher(to_set("-C --cd -c --command"), verbs=(("exec",), ("x",)), script_options=to_set("-c")),),
    "nice": (Launcher(to_set("-n --adjustment")),),
    "nohup": (Launcher(),),
    "npm": (_NPM_EXEC,),
    "npx": (_NPX,),
    "op": (Launcher(to_set("--env-file --account"), verbs=(("run",),)),),
    "pdm": (Launcher(to_set("-p --project -s --site-packages"), verbs=(("run",),)),),
    "pipenv": (Launcher(verbs=(("run",),)),),
    "pipx": (
        Launcher(
            to_set("--spec --python --pip-args -i --index-url --path --backend"),
            verbs=(("run",),),
            package_options=to_set("--spec"),
            fetches=True,
        ),
    ),
    "pixi": (Launcher(to_set("-e --environment --manifest-path"), verbs=(("run",), ("exec",))),),
    "pnpm": (
        Launcher(to_set("-C --dir --package"), verbs=(("dlx",),), fetches=True),
        Launcher(to_set("-C --dir -F --filter"), verbs=(("exec",),)),
    ),
    "pnpx": (_NPX,),
    "poetry": (Launcher(to_set("-C --directory -P --project"), verbs=(("run",),)),),
    "prlimit": (Launcher(to_set("-p --pid")),),
    "proxychains": (Launcher(to_set("-f")),),
    "proxychains4": (Launcher(to_set("-f")),),
    "rye": (Launcher(verbs=(("run",),)),),
    "setsid": (Launcher(),),
    "start": (Launcher(),),
    "stdbuf": (Launcher(to_set("-i -o -e --input --output --error")),),
    "strace": (_TRACE,),
    "sudo": (_SUDO,),
    "systemd-run": (Launcher(to_set("-p -u -t -E -M -H --property --unit --slice --description --setenv --uid")),),
    "taskset": (Launcher(operands=1),),
    "time": (Launcher(to_set("-f -o --format --output")),),
    "timeout": (Launcher(to_set("-k -s --kill-after --signal"), operands=1),),
    "unbuffer": (Launcher(),),
    "uv": (
        Launcher(
            _UV_OPTIONS | to_set("-m --module"),
            verbs=(("run",),),
            module_options=to_set("-m --module"),
        ),
        Launcher(_UVX.valued, verbs=(("tool", "run"), ("x",)), package_options=_UVX.package_options, fetches=True),
    ),
    "uvx": (_UVX,),
    "winpty": (Launcher(),),
    "wsl": (Launcher(to_set("-d --distribution -u --user --cd --shell-type")),),
    "xvfb-run": (Launcher(to_set("-e -f -n -p -s -w --error-file --auth-file --server-num --server-args --wait")),),
    "yarn": (Launcher(to_set("-p --package --cwd"), verbs=(("dlx",),), fetches=True), Launcher(verbs=(("exec",),))),
}
"""The launchers, by name; those with several forms have one for each."""


@dataclass(slots=True)
class Words:
    """The words of a command, read from the left."""

    left: list[str]
    given: dict[str, list[str]] = field(default_factory=dict)

    def skip_options(self, valued: frozenset[str], stops: frozenset[str] = frozenset()) -> str:
        """Skip options, keeping their values in `given`.

        Returns the option of `stops` at which it ends, whose value is the next word; empty if there is none.
        """
        while self.left and self.left[0].startswith(("-", "+")) and self.left[0] not in {"-", "+"}:
            word = self.left.pop(0)
            if word == "--":
                break
            name, joined, value = word.partition("=")
            if name in stops:
                if joined:
                    self.left.insert(0, value)
                return name
            if name in valued and not joined:
                value = self.left.pop(0) if self.left else ""
            self.given.setdefault(name, []).append(value)
        return ""

    def take_verb(self, verbs: tuple[tuple[str, ...], ...], valued: frozenset[str]) -> bool:
        """Take one of the verbs; return whether there was one."""
        if not verbs:
            return True
        self.skip_options(valued)
        for verb in verbs:
            if tuple(self.left[: len(verb)]) == verb:
                del self.left[: len(verb)]
                return True
        return False

    def take_assignments(self) -> dict[str, str]:
        """Take words like `NAME=value` from the left."""
        taken: dict[str, str] = {}
        while self.left and (pair := split_assignment(self.left[0])) is not None:
            taken |= dict([pair])
            self.left.pop(0)
        return taken

    def find_values(self, names: frozenset[str]) -> list[str]:
        """Return the values that these options had."""
        return [value for name in sorted(names) for value in self.given.get(name, ()) if value]


def split_assignment(word: str) -> tuple[str, str] | None:
    """Return name and value of a word like `NAME=value`; else None."""
    name, joined, value = word.partition("=")
    return (name, value) if joined and name.isidentifier() and name.isascii() else None
