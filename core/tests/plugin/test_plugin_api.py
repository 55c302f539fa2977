"""The plugin API, which changes only on purpose, and which is light to import."""

from __future__ import annotations

import dataclasses
import enum
import inspect
import subprocess
import sys
from pathlib import Path

import pytest

from mcp_gateway import plugin
from mcp_gateway.plugin import hookspecs

WRITTEN = Path(__file__).parent / "plugin_api.txt"

ADVICE = """\
The plugin API has changed. Plugins of other people are written against it. If the change is meant:
  1. it adds an optional protocol, a field with a default, or a hook; anything else needs a new API_VERSION;
  2. say it in CHANGELOG.md and plugins/README.md;
  3. write it down: python core/tests/plugin/test_plugin_api.py > core/tests/plugin/plugin_api.txt
"""


def described() -> str:
    """Write down every name that a plugin may import, and every hook that it may implement."""
    names = [line for name in sorted(plugin.__all__) for line in _lines(name, getattr(plugin, name))]
    hooks = [
        f"hook {name}{_signature(value)}"
        for name, value in sorted(vars(hookspecs).items())
        if inspect.isfunction(value) and name.startswith("mcp_gateway_")
    ]
    return "\n".join([*names, *hooks])


def _lines(name, value):
    if inspect.isfunction(value):
        return [f"def {name}{_signature(value)}"]
    if not inspect.isclass(value):
        return [f"{name} = {value!r}" if not hasattr(value, "project_name") else f"{name}: {type(value).__name__}"]
    bases = ", ".join(base.__name__ for base in value.__bases__ if base is not object)
    return [f"class {name}({bases})", *(f"  {line}" for line in _members(value))]


def _members(value):
    if issubclass(value, enum.Enum):
        return [f"{member.name} = {member.value}" for member in value]
    if dataclasses.is_dataclass(value):
        fields = [_field(item) for item in dataclasses.fields(value)]
        return [f"frozen={value.__dataclass_params__.frozen}", *fields, *_functions(value)]
    if issubclass(value, tuple):
        defaults = value._field_defaults
        kinds = inspect.get_annotations(value)
        fields = [f"{name}: {_type(kinds[name])}{' = ...' if name in defaults else ''}" for name in value._fields]
        return [*fields, *_functions(value)]
    code = [f"code = {value.code!r}"] if issubclass(value, Exception) else []
    started = [f"__init__{_signature(value.__init__)}"] if "__init__" in vars(value) and code else []
    return [*code, *started, *_functions(value)]


def _type(annotation):
    """Return an annotation as it is written: a NamedTuple wraps it."""
    return getattr(annotation, "__forward_arg__", annotation)


def _field(item):
    has_default = item.default is not dataclasses.MISSING or item.default_factory is not dataclasses.MISSING
    keyword = "keyword " if item.kw_only else ""
    return f"{keyword}{item.name}: {item.type}{' = ...' if has_default else ''}"


def _functions(value):
    for name, member in sorted(vars(value).items()):
        if name.startswith("_"):
            continue
        if isinstance(member, property):
            yield f"property {name}{_signature(member.fget)}"
        elif isinstance(member, classmethod):
            yield f"classmethod {name}{_signature(member.__func__)}"
        elif inspect.isfunction(member):
            yield f"{'async ' if inspect.iscoroutinefunction(member) else ''}def {name}{_signature(member)}"


def _signature(function):
    return str(inspect.signature(function)).replace("'", "")


def test_the_plugin_api_is_as_it_is_written_down():
    assert described() == WRITTEN.read_text(encoding="utf-8").strip(), ADVICE


def test_every_name_that_a_plugin_may_import_explains_itself():
    unexplained = [
        name for name in plugin.__all__ if inspect.isclass(getattr(plugin, name)) and not getattr(plugin, name).__doc__
    ]
    assert unexplained == []


@pytest.mark.parametrize(
    "module", ["mcp_gateway.plugin", "mcp_gateway.plugin_host.loader", "mcp_gateway.plugin_host.providers"]
)
def test_what_a_plugin_imports_loads_nothing_heavy(module):
    assert _loaded_by(f"import {module}") & {"mcp", "mcp_types", "anyio", "structlog", "numpy", "asyncio"} == set()


def _loaded_by(command):
    """Return the top-level modules that a fresh interpreter has loaded after `command`."""
    code = f"import sys\n{command}\nprint('loaded:', *sorted({{name.partition('.')[0] for name in sys.modules}}))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    return set(done.stdout.rpartition("loaded:")[2].split())


if __name__ == "__main__":
    print(described())
