"""Lists of tools in other programs' files, as tool policies."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase
from glob import escape
from typing import Any

from mcp_gateway.config.forms.keys import ALLOW_KEYS, DENY_KEYS
from mcp_gateway.config.forms.programs import Program
from mcp_gateway.config.forms.recognition import find_at
from mcp_gateway.config.tool_policy import RuleList, ToolPolicy, ToolRule

_OFF = frozenset({"deny", "denied", "disabled", "forbid", "forbidden", "never", "off", "false"})
_OURS = frozenset({"include", "exclude"})
_OUR_FORM = 'tools: write {"include": [...], "exclude": [...]}'


class UnclearList(Exception):
    """A list of tools that cannot be read.

    Its server must not be used.
    """


def policy_of_entry(program: Program, keys: dict[str, Any]) -> ToolPolicy:
    """Take the lists of tools from a server's keys.

    `tools` stays if it is of our own form.

    Raises:
        UnclearList: a list has none of the forms that it may have.

    """
    policy = ToolPolicy()
    for key in [key for key in keys if key in ALLOW_KEYS or key in program.allow]:
        if key != "tools":
            policy = policy.within(_permit(program, key, keys.pop(key)))
    for key in [key for key in keys if key in DENY_KEYS]:
        policy = policy.within(_forbid(_names(key, keys.pop(key))))
    tools = keys.get("tools")
    if tools is None or (isinstance(tools, dict) and tools.keys() <= _OURS):
        return policy
    return policy.within(_read_tools(program, keys.pop("tools")))


def policy_of_document(program: Program, document: Mapping[str, Any], server: str) -> ToolPolicy:
    """Return what a document forbids outside of a server's entry."""
    policy = ToolPolicy()
    for place, prefixes in program.denied_tools:
        denied = find_at(document, place)
        if isinstance(denied, list | str):
            names = _names(".".join(place), denied)
            policy = policy.within(_forbid_qualified(names, [prefix.format(server=server) for prefix in prefixes]))
    for place, prefix in program.permitted_tools:
        listed = find_at(document, place)
        if isinstance(listed, list):
            policy = policy.within(_permit_qualified(listed, prefix.format(server=server)))
    for place, prefix in program.tool_switches:
        switches = find_at(document, place)
        if isinstance(switches, dict):
            policy = policy.within(_read_switches(switches, prefix.format(server=_plain(server))))
    if program.name == "Zed":
        policy = policy.within(_read_zed_profile(document, server))
    return policy


def servers_without(program: Program, document: Mapping[str, Any], server: str, entry: Any) -> str:
    """Explain why a document leaves a server out, if it does."""
    for place, value in program.switches:
        found = find_at(document, place)
        if found is value or (isinstance(value, str) and found == value):
            return f"{'.'.join(place)} switches all servers off"
    for place in program.denied_servers:
        if _names_server(find_at(document, place), server, entry):
            return f"{'.'.join(place)} names it"
    for place in program.allowed_servers:
        allowed = find_at(document, place)
        if isinstance(allowed, list) and not _names_server(allowed, server, entry):
            return f"{'.'.join(place)} does not name it"
    return ""


def _names_server(listed: Any, server: str, entry: Any) -> bool:
    """Whether a list names a server, by name, command or URL."""
    keys = entry if isinstance(entry, dict) else {}
    command = [keys.get("command"), *(keys["args"] if isinstance(keys.get("args"), list) else [])]
    for item in listed if isinstance(listed, list) else ():
        if not isinstance(item, dict):
            named = str(item) == server
        elif "serverName" in item:
            named = item["serverName"] == server
        else:
            url = item.get("serverUrl")
            named = item.get("serverCommand") == command or (
                isinstance(url, str) and fnmatchcase(str(keys.get("url", "")), url)
            )
        if named:
            return True
    return False


def _names(key: str, value: Any) -> list[str]:
    """Return names from a list, a text or an object."""
    if value is None or value is False:
        return []
    if isinstance(value, str):
        return [name for name in value.replace(",", " ").split() if name]
    if isinstance(value, dict):
        return [str(name) for name, on in value.items() if on]
    if isinstance(value, list) and all(isinstance(name, str) for name in value):
        return [name.strip() for name in value if name.strip()]
    raise UnclearList(f"{key}: it must be a list of names of tools")


def _without_arguments(name: str) -> str:
    """Return the tool of `tool(arguments)`."""
    return name.partition("(")[0].strip() or name


def _permit(program: Program, key: str, value: Any) -> ToolPolicy:
    if value is None:
        return ToolPolicy()
    names = _names(key, value)
    # In Goose an empty list permits everything.
    if not names and key == "available_tools":
        return ToolPolicy()
    exact = not program.has_globs and key in program.allow
    globs = [_without_arguments(name) for name in names]
    rules = [ToolRule(escape(glob) if exact and glob != "*" else glob, permits=True) for glob in globs]
    return ToolPolicy((RuleList(tuple(rules), default=False),))


def _forbid(names: list[str]) -> ToolPolicy:
    rules = tuple(rule for name in names for rule in _forbid_name(name, ""))
    return ToolPolicy((RuleList(rules),)) if rules else ToolPolicy()


def _forbid_name(name: str, prefix: str, *, is_shared: bool = False) -> Iterator[ToolRule]:
    tool = _without_arguments(name)
    yield ToolRule(tool, permits=False, prefix=prefix, is_shared=is_shared)
    # In most programs it is a name, whatever characters it has.
    if escape(tool) != tool and not tool.endswith("*"):
        yield ToolRule(escape(tool), permits=False, prefix=prefix, is_shared=True)


def _forbid_qualified(names: list[str], prefixes: list[str]) -> ToolPolicy:
    """Forbid names that begin with the server's name in some way.

    The beginning alone forbids all of its tools. What does not concern this server is left out, so that it is not
    taken for a misspelled name.
    """
    rules: list[ToolRule] = []
    for name in map(_without_arguments, names):
        for prefix in prefixes:
            whole = prefix.rstrip("_")
            if prefix and name == whole:
                rules.append(ToolRule("*", permits=False, is_shared=True))
            elif not prefix or name.startswith(prefix) or ("*" in name[: len(prefix)]):
                rules += _forbid_name(name, prefix, is_shared=not prefix)
    return ToolPolicy((RuleList(tuple(rules)),)) if rules else ToolPolicy()


def _permit_qualified(listed: list[Any], whole: str) -> ToolPolicy:
    """Permit what a list names of a server: `@server`, or `@server/tool`."""
    if "*" in listed:
        return ToolPolicy()
    begin = f"{whole}/"
    globs = [
        "*" if name == whole else name.removeprefix(begin) for name in map(str, listed) if f"{name}/".startswith(begin)
    ]
    rules = tuple(ToolRule(glob, permits=True, is_shared=glob == "*") for glob in globs)
    return ToolPolicy((RuleList(rules, default=False),))


def _read_tools(program: Program, tools: Any) -> ToolPolicy:
    """Read `tools` of a server in the forms that programs give it."""
    if isinstance(tools, dict) and any(isinstance(value, list) for value in tools.values()):
        raise UnclearList(_OUR_FORM)  # a misspelled `exclude` would forbid nothing
    if isinstance(tools, dict):
        return _forbid([str(name) for name, value in tools.items() if _is_off(value)])
    if isinstance(tools, list) and all(isinstance(tool, dict) for tool in tools) and tools:
        named = [tool for tool in tools if isinstance(tool.get("name"), str)]
        off = [tool["name"] for tool in named if _is_off(tool)]
        if len(named) < len(tools):
            raise UnclearList("tools: each of the list must be a name, or have one")
        return _forbid(off) if off else _permit(program, "tools", [tool["name"] for tool in named])
    if isinstance(tools, bool):
        return ToolPolicy() if tools else ToolPolicy((RuleList((), default=False),))
    if not isinstance(tools, list | str):
        raise UnclearList(_OUR_FORM)
    return _permit(program, "tools", tools)


def _is_off(value: Any) -> bool:
    if isinstance(value, dict):
        return _is_off(value.get("enabled", value.get("permission", True))) or value.get("disabled") in (True, "true")
    return value is False or (isinstance(value, str) and value.lower() in _OFF)


def _read_switches(switches: Mapping[str, Any], prefix: str) -> ToolPolicy:
    """Read globs for qualified names that are switched on or off.

    Of several that match, the longest decides.
    """
    chosen = {glob: value for glob, value in switches.items() if _may_begin_with(glob, prefix)}
    rules = [
        ToolRule(glob, permits=not _is_off(value), prefix=prefix, is_shared=True)
        for glob, value in sorted(chosen.items(), key=lambda item: len(item[0]))
        if isinstance(value, bool | str)
    ]
    return ToolPolicy((RuleList(tuple(rules)),)) if any(not rule.permits for rule in rules) else ToolPolicy()


def _may_begin_with(glob: str, prefix: str) -> bool:
    """Whether names with this beginning may match a glob."""
    plain = glob.partition("*")[0].partition("?")[0].partition("[")[0]
    return plain.startswith(prefix) if plain == glob else prefix.startswith(plain) or plain.startswith(prefix)


def _plain(server: str) -> str:
    return "".join(
        character if character.isascii() and (character.isalnum() or character in "_-") else "_" for character in server
    )


def _read_zed_profile(document: Mapping[str, Any], server: str) -> ToolPolicy:
    """Read a server's tools in Zed's default profile and permissions."""
    agent = find_at(document, ("agent",))
    if not isinstance(agent, dict):
        return ToolPolicy()
    name = agent.get("default_profile", "write")
    profile = find_at(agent, ("profiles", name)) if isinstance(name, str) else None
    policy = ToolPolicy()
    if isinstance(profile, dict):
        tools = find_at(profile, ("context_servers", server, "tools"))
        switches = tools if isinstance(tools, dict) else {}
        if profile.get("enable_all_context_servers") is False:
            allowed = [ToolRule(escape(str(tool)), permits=True) for tool, on in switches.items() if on is True]
            policy = ToolPolicy((RuleList(tuple(allowed), default=False),))
        policy = policy.within(_forbid([escape(str(tool)) for tool, on in switches.items() if on is False]))
    rules = find_at(agent, ("tool_permissions", "tools"))
    prefix = f"mcp:{server}:"
    denied = [
        str(tool).removeprefix(prefix)
        for tool, rule in (rules.items() if isinstance(rules, dict) else ())
        if str(tool).startswith(prefix) and isinstance(rule, dict) and rule.get("default") == "deny"
    ]
    return policy.within(_forbid([escape(tool) for tool in denied]))


def describe_foreign_list(keys: Mapping[str, Any]) -> str:
    """Describe a list of tools that only other programs' files may have."""
    found = next((key for key in keys if key in ALLOW_KEYS or key in DENY_KEYS), None)
    ours = "include" if found in ALLOW_KEYS else "exclude"
    return f'nobody reads the key {found!r}; write "tools": {{"{ours}": [...]}}' if found else ""
