"""Writes core/docs/settings.md from the declarations: python -m tests.e2e.support.settings_page.

The page decides which settings stand in which table, and in which order; defaults and meanings are those of the code.
"""

from __future__ import annotations

import inspect
import re
from itertools import chain
from pathlib import Path
from typing import Any

from pydantic import SecretStr
from pydantic.fields import FieldInfo

from mcp_gateway.config.settings import Environment
from mcp_gateway.plugin import Options
from mcp_gateway.plugin_host.loader import load_plugins
from mcp_gateway.plugin_host.providers import Providers

PAGE = Path(__file__).parents[3] / "core" / "docs" / "settings.md"
MORE = {
    "SERVER_CONFIG_PATH": "working-directory.md",
    "GATEWAY_ENV_FILE": "working-directory.md",
    "GATEWAY_SHARED": "working-directory.md#one-gateway-for-all-windows",
    "GATEWAY_OAUTH_FOLDER": "../../plugins/auth-oauth/README.md",
    "GATEWAY_CONTROL_SOCKET": "command-line.md#running-gateways",
    "GATEWAY_STATE_DIR": "security.md",
    "REDIS_URL": "../../plugins/storage-redis/README.md",
}
"""Where more is said of a setting."""

_ROW = re.compile(r"^\| `(\w+)` \|.*\n", re.MULTILINE)


def settings() -> dict[str, FieldInfo]:
    """Return the declaration of each variable that the core or an installed plugin reads."""
    found = Providers.of(load_plugins())
    shelves = (found.server_transports, found.storage_backends, found.rankers)
    environments: list[type[Options]] = [Environment, *_options(*shelves)]
    entries = _options(found.client_transports, found.auth_strategies)
    declared = [(model, model.keys()) for model in environments] + [(model, model.variables()) for model in entries]
    return {
        str(info.alias): info for model, keys in declared for info in model.model_fields.values() if info.alias in keys
    }


def declaring_classes() -> dict[str, set[type[Options]]]:
    """Return which classes declare each variable themselves, and do not inherit it."""
    found = Providers.of(load_plugins())
    models = {base for model in (Environment, *_options(*found.shelves)) for base in model.__mro__}
    declared: dict[str, set[type[Options]]] = {}
    for model in models:
        for name in set(inspect.get_annotations(model)) & set(getattr(model, "model_fields", {})):
            declared.setdefault(str(model.model_fields[name].alias), set()).add(model)
    return {key: classes for key, classes in declared.items() if key.isupper()}


def row(name: str, info: FieldInfo) -> str:
    default, said = _shown(info.default), str(info.description)
    said = said if said[:2].isupper() else said[0].lower() + said[1:]
    more = f" ([more]({MORE[name]}))" if name in MORE else ""
    cells = (f"`{name}`", f"`{default}`" if default else "", said.replace("|", "\\|") + more)
    return f"| {' | '.join(cells)} |\n".replace("|  |", "| |")


def page(text: str) -> str:
    """Return a page with its rows renewed; a setting that is gone has none."""
    declared = settings()
    return _ROW.sub(lambda found: row(found[1], declared[found[1]]) if found[1] in declared else "", text)


def named_in(text: str) -> list[str]:
    return _ROW.findall(text)


def _options(*shelves: Any) -> list[type[Options]]:
    return [provider.options for provider in chain.from_iterable(shelf.providers.values() for shelf in shelves)]


def _shown(default: object) -> str:
    if isinstance(default, SecretStr):
        default = default.get_secret_value()
    if isinstance(default, bool):
        return str(default).lower()
    if isinstance(default, float):
        return f"{default:g}"
    return "" if default in (None, ()) else str(default)


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
