"""The sources of the configuration: file of servers and `.env`.

Clients start stdio servers in the folder that the user has open, which may be a stranger's repository. So a gateway
that serves over stdio reads nothing from its working directory unless the user has allowed it. Commands and the HTTP
server do read it, because there the user has chosen the folder; if it has no file of servers, they read the user's.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from mcp_gateway.config.trust import FILE_NAME, Trust, TrustStore
from mcp_gateway.plugin import ConfigError
from mcp_gateway.plugin.utilities.atomic_files import describe_read_error
from mcp_gateway.protocol.implementation import NAME

SERVERS, ENV_FILE = "SERVER_CONFIG_PATH", "GATEWAY_ENV_FILE"
"""The variables that name the two files."""

_FOLDERS = ("GATEWAY_STATE_DIR", "GATEWAY_OAUTH_FOLDER")
"""Variables that name folders with trusted content: pins and logins."""

ReadEnvFn = Callable[[Path], Mapping[str, str | None] | None]
"""Reads a `.env` file; returns None if there is none."""


@dataclass(frozen=True, slots=True)
class Place:
    """The place where the program was started, and its purpose.

    `has_file` says whether a file of servers is in the folder. `user_file` is the user's own, which may not exist.
    """

    folder: Path
    is_serving: bool = False
    has_env_file: bool = False
    trust: Trust = Trust.ABSENT
    user_file: Path | None = None
    has_file: bool = True


@dataclass(frozen=True, slots=True)
class ConfigSource:
    """The files to read, as decided.

    * `environ`: the environment variables, which take precedence over those in `env_file`.
    * `is_checked`: whether `servers_file` is read only if it is trusted.
    * `is_tolerant`: whether the program continues without a usable `servers_file`.
    * `is_of_folder`: whether nobody named `servers_file`: the working directory has it, or its `.env` names it.
    * `notices`: messages for people and models.
    * `ignored_env_file`: a `.env` that is not read here, but would be if the program were started otherwise.
    """

    environ: Mapping[str, str]
    servers_file: Path
    env_file: Path | None = None
    is_checked: bool = False
    is_tolerant: bool = False
    is_of_folder: bool = False
    notices: tuple[str, ...] = ()
    ignored_env_file: Path | None = None


def decide_source(environ: Mapping[str, str], place: Place, read_env: ReadEnvFn) -> ConfigSource:
    """Decide which files are read.

    Raises:
        ConfigError: a named file does not exist, or the path of a folder is not absolute.

    """
    env_file = _find_env_file(environ)
    settled = _merge(environ, env_file, read_env)
    if place.is_serving and settled.get("GATEWAY_TRANSPORT", "stdio").strip().lower() != "http":
        return _decide_for_stdio(settled, env_file, place)
    is_named = SERVERS in settled
    if env_file is None:
        env_file = place.folder / ".env"
        settled = _merge(environ, env_file, read_env)
    if SERVERS not in settled and not place.has_file and place.user_file is not None:
        # Whole, for all that reads the variable later.
        settled, is_named = {**settled, SERVERS: str(place.user_file)}, True
    return ConfigSource(settled, Path(settled.get(SERVERS, FILE_NAME)), env_file, is_of_folder=not is_named)


def find_source(environ: Mapping[str, str], *, is_serving: bool) -> ConfigSource:
    """Decide which files are read by this process.

    Raises:
        ConfigError: as for `decide_source`, or a file cannot be read.

    """
    with name_denied_file():
        place = Place(_get_working_directory(), is_serving=is_serving)
        if is_serving:
            place = replace(place, has_env_file=(place.folder / ".env").is_file())
            if not environ.get(SERVERS):  # not needed otherwise, and slow to import
                place = _inspect_user_folders(place)
        if not environ.get(SERVERS) and not os.path.lexists(place.folder / FILE_NAME):
            place = _find_user_file(place)
        return decide_source(environ, place, read_env_file)


@contextmanager
def name_denied_file() -> Iterator[None]:
    """Name a file that this user may not look at.

    Raises:
        ConfigError: there is one.

    """
    try:
        yield
    except PermissionError as error:
        reason = f"{error.filename or 'a file'}: {describe_read_error(error)}"
        raise ConfigError(f"{reason} and enter its folders, or name another file") from None


def _find_user_file(place: Place) -> Place:
    """Fall back to the user's file of servers, if there is one."""
    user_file = find_user_file()
    # Also to a folder of that name: the error of reading it says so.
    return replace(place, has_file=False, user_file=user_file) if user_file and user_file.exists() else place


def find_user_file() -> Path | None:
    """Return the user's file of servers, which may not exist.

    None if there is no home folder.
    """
    try:
        return config_folder() / FILE_NAME
    except ConfigError:
        return None


def open_trust_store() -> TrustStore:
    """Return the user's trust store.

    It is not in `GATEWAY_STATE_DIR`, because the shell in which a user trusts a folder does not have the variables
    that a client sets for its servers.

    Raises:
        ConfigError: there is no home folder.

    """
    return TrustStore(state_folder() / "trusted")


def explain_distrust(file: Path, trust: Trust) -> str:
    """Explain why a folder's file is not read, and the remedy."""
    why = "has changed since it was trusted" if trust is Trust.CHANGED else "has not been trusted by anybody"
    return (
        f"{_to_one_line(file)} is not read, because it {why}: a person who has looked at it may run '{NAME} trust' in "
        "that folder and then restart this gateway"
    )


def read_env_file(path: Path) -> Mapping[str, str | None] | None:
    """Read a `.env` file; None if there is none.

    Raises:
        ConfigError: the file cannot be read.

    """
    if not path.is_file():
        return None
    from dotenv import dotenv_values

    try:
        return dotenv_values(path)
    except OSError as error:
        raise ConfigError(f"{path}: it cannot be read: {describe_read_error(error)}") from None
    except UnicodeDecodeError:
        raise ConfigError(f"{path}: it cannot be read: it is not UTF-8; save it as UTF-8") from None


def _find_env_file(environ: Mapping[str, str]) -> Path | None:
    """Return the `.env` named, or beside the file of servers named."""
    if named := environ.get(ENV_FILE):
        return Path(named)
    return Path(servers).parent / ".env" if (servers := environ.get(SERVERS)) else None


def _merge(environ: Mapping[str, str], env_file: Path | None, read_env: ReadEnvFn) -> dict[str, str]:
    """Return the environment over a file's; empty counts as not set."""
    written = read_env(env_file) if env_file is not None else {}
    if written is None and environ.get(ENV_FILE):
        raise ConfigError(f"{env_file}: there is no such file; {ENV_FILE} names it")
    found = {**(written or {}), ENV_FILE: None}  # an `.env` must not point to another one
    if env_file is not None and environ.get(ENV_FILE) and (servers := found.get(SERVERS)):
        found[SERVERS] = str(env_file.parent / servers)  # relative to the `.env`, not to the working directory
    return {name: value for name, value in {**found, **environ}.items() if value}


def _decide_for_stdio(settled: dict[str, str], env_file: Path | None, place: Place) -> ConfigSource:
    """Decide for a process whose working directory is not trusted."""
    _refuse_relative_folders(settled)
    beside = place.folder / ".env"
    ignored = beside if place.has_env_file and (env_file is None or env_file.absolute() != beside) else None
    if SERVERS in settled:
        return ConfigSource(settled, Path(settled[SERVERS]), env_file, is_tolerant=True, ignored_env_file=ignored)
    file, is_checked = _choose_file(place), place.trust is Trust.TRUSTED
    distrusted = place.trust in (Trust.UNKNOWN, Trust.CHANGED)
    return ConfigSource(
        {**settled, SERVERS: str(file)},  # absolute, for all that reads the variable later
        file,
        env_file,
        is_checked=is_checked,
        is_tolerant=True,
        notices=(explain_distrust(place.folder / FILE_NAME, place.trust),) if distrusted else (),
        ignored_env_file=ignored,
    )


def _refuse_relative_folders(settled: Mapping[str, str]) -> None:
    for name in _FOLDERS:
        if (value := settled.get(name)) and not Path(value).is_absolute():
            raise ConfigError(
                f"environment: {name}: it must be a whole path: over stdio the gateway runs in whatever folder the "
                "client has open"
            )


def _choose_file(place: Place) -> Path:
    if place.trust is Trust.TRUSTED:
        return place.folder / FILE_NAME
    if place.user_file is None:
        raise ConfigError(f"environment: there is no home folder; set {SERVERS} to the file of servers, or HOME")
    return place.user_file


def _inspect_user_folders(place: Place) -> Place:
    """Return the user's file, and what of the working directory is trusted."""
    try:
        user_file, store = config_folder() / FILE_NAME, open_trust_store()
    except ConfigError:  # a container may have no home folder; it names its file explicitly
        return place
    return replace(place, trust=store.judge(place.folder / FILE_NAME), user_file=user_file)


def _get_working_directory() -> Path:
    try:
        return Path.cwd().resolve()
    except OSError:  # the working directory has been removed
        return Path(os.curdir)


def _to_one_line(path: Path) -> str:
    """Return a path in one line.

    A stranger may have chosen the names of folders, which must not inject text into messages for the model.
    """
    return "".join(character if character.isprintable() else "?" for character in str(path))


def config_folder() -> Path:
    """Return the configuration folder: `~/.config/mcp-orchestration-gateway` on Linux."""
    from platformdirs import user_config_path

    return _resolve(lambda: user_config_path(NAME, appauthor=False))


def state_folder() -> Path:
    """Return the state folder: `~/.local/state/mcp-orchestration-gateway` on Linux."""
    from platformdirs import user_state_path

    return _resolve(lambda: user_state_path(NAME, appauthor=False))


def _resolve(find: Callable[[], Path]) -> Path:
    try:
        return find()
    except RuntimeError:  # there is no home folder
        raise ConfigError("environment: HOME: there is no home folder; set HOME to a whole path") from None
