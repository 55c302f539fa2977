"""Target of a new entry: a URL, or a program to start."""

from __future__ import annotations

import re
import shlex
import shutil
from pathlib import Path
from urllib.parse import quote

from mcp_gateway.text.suggestions import find_similar_names
from mcp_gateway_cli.secrets.masks import mask_arguments

_SCHEMES = ("http", "https", "unix", "http+unix")
_SOCKET = "unix:/"
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+)://(.*)", re.DOTALL)
_SLIP = re.compile(r"(https?)(?::/?|:///|/{2,3})(?=[^:/])(.*)", re.IGNORECASE | re.DOTALL)
"""A scheme without the colon or a slash, or with a slash too many."""
_LOCAL = r"localhost|127(?:\.\d{1,3}){3}|\[::1\]"
_NUMBERS = r"\d{1,3}(?:\.\d{1,3}){3}|\[[0-9a-f:]+\]"
_DOMAIN = r"(?:[a-z0-9](?:[a-z0-9-]*[a-z0-9])?\.)+[a-z][a-z0-9-]*[a-z0-9]"
_ADDRESS = re.compile(
    rf"(?:(?P<local>{_LOCAL})|{_NUMBERS}|{_DOMAIN})(?::\d{{1,5}}(?![^/?])|(?=/))[^\s]*", re.IGNORECASE
)
"""A host, with a port or a path behind it."""
_USER = re.compile(r"^([a-z0-9+.-]*://)?[^/@]*@", re.IGNORECASE)


def is_url(target: str) -> bool:
    """Whether a server is reached by this."""
    found = _SCHEME.match(target)
    is_known = found is not None and found[1].lower() in _SCHEMES and not _SLIP.match(target)
    return is_known or target.lower().startswith(_SOCKET)


def settle_url(url: str) -> str:
    """Return a URL as entries have it.

    That of a socket may be typed as `unix:///path#/mcp`.
    """
    if not url.lower().startswith(_SOCKET):
        return url
    path, _, target = url[len(_SOCKET) - 1 :].removeprefix("//").partition("#")
    return f"http+unix://{quote(path, safe='')}/{target.removeprefix('/')}"


def describe_mistake(target: str) -> str:
    """Return why one word is neither URL nor program, if so."""
    if found := _SLIP.match(target):
        return f"{_hide(target)!r} is no URL; did you mean {_hide(f'{found[1].lower()}://{found[2]}')!r}?"
    if found := _SCHEME.match(target):
        return "" if is_url(target) else _describe_scheme(found[1], found[2])
    if is_url(target) or shutil.which(target) or Path(target).exists():
        return ""
    if found := _ADDRESS.fullmatch(target):
        url = f"{'http' if found['local'] else 'https'}://{target}"
        return f"there is no program {_hide(target)!r}; did you mean {_hide(url)!r}?"
    return _describe_line(target)


def _describe_scheme(scheme: str, rest: str) -> str:
    near = find_similar_names(scheme, _SCHEMES, 1)
    hint = f"did you mean {_hide(f'{near[0]}://{rest}')!r}?" if near else f"known: {', '.join(_SCHEMES)}"
    return f"no server has a URL that begins with {scheme}://; {hint}"


def _describe_line(target: str) -> str:
    """Describe a whole command line that was quoted as one word."""
    try:
        program, *arguments = shlex.split(target)
    except ValueError:
        return ""
    if not arguments or not shutil.which(program):
        return ""
    line = shlex.join(map(str, mask_arguments([program, *arguments])))
    return f"there is no program of that whole name; did you mean, without quotes around it: -- {line}"


def _hide(url: str) -> str:
    """Leave out what may be secret: user and query."""
    shown, query, _ = _USER.sub(r"\1…@", url).partition("?")
    return f"{shown}{query and '?…'}"
