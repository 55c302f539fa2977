"""What a person has forbidden is forbidden: every way to a forbidden tool, in both eras."""

from __future__ import annotations

import ast
import json
from pathlib import Path

import anyio
import pytest
from mcp.shared.exceptions import MCPError
from structlog.testing import capture_logs

from mcp_gateway.storage.listings import identity

from ..discovery.test_caller_views import ANNA, PersonalServer
from ..discovery.test_config_reload import open_reloading_gateway
from ..support.fake_plugins import MemoryStorage
from ..support.fake_servers import Remote, text, tool, until
from ..support.gateway import ask, client

FILTER = {"tools": {"exclude": ["wipe*"]}}
SHOWN = {"expose_tools": True, **FILTER}


def disk() -> Remote:
    return Remote(tool("read", "Read the disk"), tool("wipe", "Wipe the disk"), tool("wipe_all", "Wipe all disks"))


async def names_listed(connection):
    return [listed["name"] for listed in (await connection.request("tools/list", {}))["tools"]]


async def is_refused(connection, name, arguments=None):
    """Whether a call fails, by an error of the protocol or of the tool."""
    try:
        return bool((await ask(connection, name, arguments)).get("isError"))
    except MCPError:
        return True


def code_of(answer):
    return json.loads(answer["content"][0]["text"])["error_code"]


@pytest.mark.parametrize("modern", [True, False])
async def test_a_forbidden_tool_is_in_no_list_search_or_discovery_and_no_call_reaches_it(gateway, modern):
    remote = disk()
    async with gateway({"disk": remote}, disk=SHOWN) as opened, client(opened, modern=modern) as connection:
        await until(lambda: "disk" in opened.gateway.registry.catalog.servers)
        assert (await names_listed(connection))[3:] == ["disk__read"]
        found = (await ask(connection, "tool_search", {"query": "wipe disk"}))["structuredContent"]
        assert [each["tool_name"] for each in found["tools"]] == ["disk__read"]
        again = (await ask(connection, "discover_tools", {"server_name": "disk"}))["structuredContent"]
        assert "wipe" not in json.dumps(again)
        for name in ("wipe", "disk__wipe", "disk__wipe_all", "disk__WIPE"):
            assert await is_refused(connection, "call_remote_tool", {"tool_name": name})
            assert await is_refused(connection, name)
        assert code_of(await ask(connection, "disk__wipe")) == "tool_forbidden"
        assert not (await ask(connection, "disk__read")).get("isError")
    assert [call["name"] for call in remote.calls] == ["read"]


@pytest.mark.parametrize("modern", [True, False])
@pytest.mark.parametrize("namespace", [None, "tools", "disk.two"])
async def test_another_namespace_or_none_leads_to_no_forbidden_tool(gateway, modern, namespace):
    remote = disk()
    keys = {"namespace": namespace, **SHOWN}
    async with gateway({"disk": remote, "other": Remote()}, disk=keys) as opened:
        await until(lambda: "disk" in opened.gateway.registry.catalog.servers)
        async with client(opened, modern=modern) as connection:
            for prefix in ("", "disk__", "tools__", "disk.two__", "other__"):
                for name in ("wipe", "wipe_all"):
                    assert await is_refused(connection, f"{prefix}{name}")
    assert not remote.calls


@pytest.mark.parametrize("handshake", [True, False])
async def test_a_server_alone_without_namespace_gets_only_calls_of_what_it_lists(gateway, handshake):
    remote = Remote(tool("read"), tool("wipe"), handshake=handshake)
    async with gateway({"disk": remote}, disk={"namespace": None, **SHOWN}) as opened, client(opened) as connection:
        await until(lambda: "disk" in opened.gateway.registry.catalog.servers)
        assert await names_listed(connection) == ["read"]
        for name in ("wipe", "wipe_all", "WIPE", "unlisted"):
            assert await is_refused(connection, name)
        assert not (await ask(connection, "read")).get("isError")
    assert [call["name"] for call in remote.calls] == ["read"]


async def test_a_tool_that_gets_a_forbidden_name_while_the_gateway_runs_is_gone(gateway):
    remote = Remote(tool("read"), tool("clean"), handshake=True)
    async with gateway({"disk": remote}, disk=SHOWN) as opened, client(opened) as connection:
        await until(lambda: "disk" in opened.gateway.registry.catalog.servers)
        assert not (await ask(connection, "disk__clean")).get("isError")
        remote.tools = [tool("read"), tool("Wipe-Everything")]
        await remote.announce()
        listing = opened.gateway.registry.catalog.servers
        await until(lambda: "clean" not in listing_of(opened).by_name)
        assert listing_of(opened).forbidden == ("Wipe-Everything",)
        assert listing is not opened.gateway.registry.catalog.servers
        for name in ("disk__clean", "disk__Wipe-Everything"):
            assert await is_refused(connection, name)
    assert [call["name"] for call in remote.calls] == ["clean"]


def listing_of(opened):
    return opened.gateway.registry.catalog.servers["disk"]


async def test_a_callers_own_list_is_restricted_too(gateway):
    own = PersonalServer(anna=[tool("diary"), tool("wipe")])
    async with gateway({"disk": own}, disk={"auth_type": "forward", **FILTER}) as opened:
        seen = await opened.gateway.resolver_for(ANNA, 5)
        assert list(seen.catalog.full_names()) == ["disk__diary"]
        listing = await opened.gateway.discover("disk", ANNA)
        assert set(listing.by_name) == {"diary"}


async def test_what_is_forbidden_is_never_stored_and_other_policies_share_no_listing(gateway, tmp_path):
    storage = MemoryStorage()
    async with gateway({"disk": disk()}, disk=FILTER, storage=storage) as opened:
        await until(lambda: any("offer" in key for key in storage.values))
        narrow = identity(opened.gateway.registry.specs["disk"])
    async with gateway({"disk": disk()}, storage=storage) as opened:
        await until(lambda: "disk" in opened.gateway.registry.catalog.servers)
        wide = identity(opened.gateway.registry.specs["disk"])
        assert set(listing_of(opened).by_name) == {"read", "wipe", "wipe_all"}
        await until(lambda: sum("offer" in key for key in storage.values) == 2)
    assert narrow.startswith(wide)
    assert narrow != wide


async def test_a_stored_listing_that_has_more_is_restricted_when_it_is_read(gateway):
    storage, remote = MemoryStorage(), disk()
    async with gateway({"disk": remote}, storage=storage) as opened:
        await until(lambda: any("stamp" in key for key in storage.values))
        wide = identity(opened.gateway.registry.specs["disk"])
    remote.may_list = anyio.Event()
    async with gateway({"disk": remote}, disk=FILTER, auto_discover=False) as opened:
        narrow = identity(opened.gateway.registry.specs["disk"])
        remote.may_list.set()
    for key, value in list(storage.values.items()):
        storage.values[key.replace(wide, narrow)] = value
    listed = remote.listed
    async with gateway({"disk": remote}, disk=FILTER, storage=storage) as opened:
        await until(lambda: "disk" in opened.gateway.registry.catalog.servers)
        assert set(listing_of(opened).by_name) == {"read"}
    assert remote.listed == listed


async def test_a_changed_policy_holds_at_once_and_what_it_permits_again_comes_back(tmp_path):
    remote = disk()
    plain = {"name": "disk", "expose_tools": True}
    async with open_reloading_gateway(tmp_path, {"disk": remote}, plain) as running, client(running.opened) as caller:
        await until(lambda: running.tool_counts == {"disk": 3})
        assert not (await ask(caller, "disk__wipe")).get("isError")
        remote.may_list = anyio.Event()
        await running.write({**plain, **FILTER})
        assert running.tool_counts == {"disk": 1}
        assert await is_refused(caller, "disk__wipe")
        await running.write(plain)
        remote.may_list.set()
        await until(lambda: running.tool_counts == {"disk": 3})
        remote.answers["wipe"] = text("wiped")
        assert (await ask(caller, "disk__wipe"))["content"][0]["text"] == "wiped"
    assert [call["name"] for call in remote.calls] == ["wipe", "wipe"]


async def test_a_pattern_that_matches_no_tool_is_warned_of_once(gateway):
    with capture_logs() as logs:
        async with gateway({"disk": disk()}, disk={"tools": {"exclude": ["wype"]}}) as opened:
            await until(lambda: "disk" in opened.gateway.registry.catalog.servers)
            await opened.gateway.discover("disk", ANNA)
    warned = [entry for entry in logs if entry["event"] == "tool pattern idle"]
    assert [(entry["server"], entry["patterns"]) for entry in warned] == [("disk", ["wype"])]


def test_listings_are_made_only_where_the_policy_is_applied():
    source = Path(__file__).resolve().parents[2] / "src" / "mcp_gateway"
    found = {}
    for path in source.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Listing":
                found[path.relative_to(source).as_posix()] = "restrict(" in path.read_text(encoding="utf-8")
    # `check` makes one of the names of pinned tools, to compare them with reserved names.
    assert found.pop("control/check.py") is False
    assert found == {"discovery/list_server.py": True, "storage/listings.py": True}
