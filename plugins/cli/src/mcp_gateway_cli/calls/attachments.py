"""Images, sound and files in a result, and where they are saved."""

from __future__ import annotations

import base64
import binascii
import mimetypes
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from mcp_gateway.plugin import ConfigError, UsageError

Json = dict[str, Any]

_STRANGE = re.compile(r"[^\w.+-]+")
_MAX_NAME = 80
_MAX_EXTENSION = 10
_MOST_SAME = 1000
# A file of such a name is a device on Windows, whatever its extension.
_DEVICES = re.compile(r"(?:con|prn|aux|nul|com\d|lpt\d)(?:\.|$)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Attachment:
    """Something in a result that is no text to be shown.

    `data` is None if the server encoded it wrongly.
    """

    name: str
    kind: str
    mime_type: str
    data: bytes | None


def read_attachment(block: Json) -> Attachment | None:
    """Return the image, sound or file of a content block, if any."""
    kind = str(block.get("type"))
    if kind in ("image", "audio"):
        return Attachment(kind, kind, _mime_of(block), _decode(block.get("data")))
    resource = block.get("resource")
    if isinstance(resource, dict) and "blob" in resource:
        return Attachment(_name_of(resource), "file", _mime_of(resource), _decode(resource["blob"]))
    return None


def read_files(result: Json) -> list[Attachment]:
    """Return all that `--output` saves: attachments, and files of text."""
    content = result.get("content")
    blocks = [block for block in content if isinstance(block, dict)] if isinstance(content, list) else []
    found = [read_attachment(block) or _read_text_file(block) for block in blocks]
    return [attachment for attachment in found if attachment is not None]


def describe_attachment(attachment: Attachment) -> str:
    """Describe what has not been saved, and say how it is."""
    if attachment.data is None:
        return f"[{attachment.kind} {attachment.mime_type}: its data is not base64]"
    size = f"{len(attachment.data):,} bytes"
    return f"[{attachment.kind} {attachment.mime_type}, {size}: --output FILE or FOLDER saves it]"


def check_target(target: Path) -> None:
    """Check that something can be saved there, before the tool is called.

    Raises:
        UsageError: nothing can be.

    """
    folder = target if target.is_dir() else target.parent
    if not folder.is_dir():
        raise UsageError(f"--output: there is no folder {str(folder)!r}; make it first")
    place = target if target.is_file() else folder
    if not os.access(place, os.W_OK):
        raise UsageError(f"--output: {str(place)!r} may not be written")


def save_files(attachments: Sequence[Attachment], target: Path) -> list[Path]:
    """Save attachments; return the paths.

    Several need a folder. There they are called as the server calls them, and replace nothing.

    Raises:
        ConfigError: one cannot be saved.

    """
    whole = [attachment for attachment in attachments if attachment.data is not None]
    try:
        if target.is_dir():
            return [_save_in(target, attachment) for attachment in whole]
        if len(whole) > 1:
            raise ConfigError(f"--output: the result has {len(whole)} files: name a folder that is there")
        for attachment in whole:
            target.write_bytes(attachment.data or b"")
    except OSError as error:
        raise ConfigError(f"--output: {error.filename or target}: {error.strerror or error}") from error
    return [target] * len(whole)


def _save_in(folder: Path, attachment: Attachment) -> Path:
    name = _safe_name(attachment)
    stem, extension = os.path.splitext(name)  # noqa: PTH122  # a name, no path
    for number in range(1, _MOST_SAME):
        path = folder / (name if number == 1 else f"{stem}-{number}{extension}")
        try:
            with path.open("xb") as file:
                file.write(attachment.data or b"")
        except FileExistsError:
            continue
        return path
    raise ConfigError(f"--output: {folder / name} is there {_MOST_SAME} times")


def _safe_name(attachment: Attachment) -> str:
    """Return a file name that leads nowhere else and hides nothing."""
    name = _STRANGE.sub("-", attachment.name).strip(".-")[-_MAX_NAME:].lstrip(".-") or attachment.kind
    if _DEVICES.match(name):
        name = f"{attachment.kind}-{name}"
    suffix = Path(name).suffix
    if not suffix or len(suffix) > _MAX_EXTENSION:
        name += mimetypes.guess_extension(attachment.mime_type) or ".bin"
    return name


def _name_of(resource: Json) -> str:
    try:
        path = urlsplit(str(resource.get("uri", ""))).path
    except ValueError:  # no URI, such as http://[
        return ""
    return unquote(path).replace("\\", "/").rstrip("/").rpartition("/")[2]


def _read_text_file(block: Json) -> Attachment | None:
    resource = block.get("resource")
    if not isinstance(resource, dict) or not isinstance(resource.get("text"), str):
        return None
    data = resource["text"].encode(errors="replace")
    return Attachment(_name_of(resource), "file", _mime_of(resource, "text/plain"), data)


def _mime_of(described: Json, default: str = "application/octet-stream") -> str:
    return str(described.get("mimeType") or default)


def _decode(data: object) -> bytes | None:
    if not isinstance(data, str):
        return None
    try:
        return base64.b64decode(data, validate=True)
    except (binascii.Error, ValueError):
        return None
