"""Clients and servers that know nothing of this project: the SDK's client, the Inspector, servers from PyPI and npm."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from mcp.client import Client
from mcp.client.stdio import StdioServerParameters

from .support.gateways import BIN, GATEWAY, Json, Launcher, Process, free_port
from .support.programs import Programs
from .support.raw_clients import HttpClient

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, programs: Programs) -> Iterator[tuple[Launcher, Path]]:
    """Four servers that others wrote: two from PyPI (modern era), two from npm (handshake era)."""
    for name in ("mcp-server-git", "mcp-server-time"):
        if not (BIN / name).exists():
            pytest.skip(f"{name} is not installed")
    with ExitStack() as stack:
        launcher = Launcher(tmp_path_factory.mktemp("clients"), stack)
        repository = launcher.folder / "repository"
        subprocess.run(["git", "init", "-q", "-b", "main", repository], check=True)
        (repository / "file.txt").write_text("content of a file\n", encoding="utf-8")
        config = launcher.config(
            {"name": "time", "command": str(BIN / "mcp-server-time"), "args": ["--local-timezone", "UTC"]},
            {"name": "git", "command": str(BIN / "mcp-server-git"), "args": ["--repository", str(repository)]},
            {
                "name": "files",
                "command": programs.node,
                "args": [programs.script("server-filesystem"), str(repository)],
            },
            {
                "name": "everything",
                "command": programs.node,
                "args": [programs.script("server-everything"), "stdio"],
                "expose_tools": True,
            },
        )
        yield launcher, config


@pytest.fixture(scope="module")
def url(place: tuple[Launcher, Path]) -> str:
    launcher, config = place
    return launcher.start_http(config).url


@pytest.fixture(params=["stdio", "http"])
def target(request: pytest.FixtureRequest, place: tuple[Launcher, Path], url: str) -> Any:
    launcher, config = place
    if request.param == "http":
        return url
    return StdioServerParameters(command=GATEWAY, env={"SERVER_CONFIG_PATH": str(config)}, cwd=launcher.folder)


@pytest.mark.parametrize("mode", ["legacy", "auto"])
async def test_the_sdks_client_lists_searches_and_calls(target: Any, mode: Any, place: tuple[Launcher, Path]) -> None:
    repository = str(place[0].folder / "repository")
    async with Client(target, mode=mode) as client:
        assert client.protocol_version == ("2025-11-25" if mode == "legacy" else "2026-07-28")
        listed = {tool.name for tool in (await client.list_tools()).tools}
        assert {"tool_search", "discover_tools", "call_remote_tool", "everything__echo"} <= listed
        for query, wanted in (
            ("convert a time between time zones", "time__convert_time"),
            ("show the status of the git working tree", "git__git_status"),
            ("read a text file", "files__read_text_file"),
        ):
            found = (await client.call_tool("tool_search", {"query": query})).structured_content
            assert found is not None
            assert wanted in [tool["tool_name"] for tool in found["tools"]]
        status = await client.call_tool("git__git_status", {"repo_path": repository})
        assert "file.txt" in status.content[0].text  # type: ignore[union-attr]
        path = {"path": f"{repository}/file.txt"}
        read = await client.call_tool("call_remote_tool", {"tool_name": "files__read_text_file", "arguments": path})
        assert read.content[0].text == "content of a file\n"  # type: ignore[union-attr]
        echoed = await client.call_tool("everything__echo", {"message": "hello"})
        assert echoed.content[0].text == "Echo: hello"  # type: ignore[union-attr]
        wrong = await client.call_tool("time__get_current_time", {"timezone": "Mars"})
        assert wrong.is_error is True


def inspection(target: Any, era: str, config: Path, programs: Programs, home: Path) -> Callable[..., Json]:
    """Return what runs the Inspector once, and returns the result that it prints."""
    if isinstance(target, str):
        reach, command = ["--transport", "http", "--server-url", target], []
    else:
        reach, command = ["-e", f"SERVER_CONFIG_PATH={config}"], ["--", GATEWAY]

    def inspect(*arguments: str, code: int = 0) -> Json:
        done = programs.inspect(*reach, "--protocol-era", era, *arguments, *command, home=home)
        assert done.returncode == code, done.stderr
        result: Json = json.loads(done.stdout)["result"]
        return result

    return inspect


@pytest.mark.parametrize("era", ["legacy", "auto"])
def test_the_inspector_lists_searches_and_calls(
    target: Any, era: str, place: tuple[Launcher, Path], programs: Programs, tmp_path: Path
) -> None:
    inspect = inspection(target, era, place[1], programs, tmp_path)
    assert inspect("--method", "initialize")["serverInfo"]["name"] == "mcp-orchestration-gateway"
    listed = {tool["name"] for tool in inspect("--method", "tools/list")["tools"]}
    assert {"tool_search", "everything__echo"} <= listed
    query = json.dumps({"query": "current time in a time zone"})
    found = inspect("--method", "tools/call", "--tool-name", "tool_search", "--tool-args-json", query)
    assert "time__get_current_time" in [tool["tool_name"] for tool in found["structuredContent"]["tools"]]
    remote = json.dumps({"tool_name": "time__get_current_time", "arguments": {"timezone": "UTC"}})
    called = inspect("--method", "tools/call", "--tool-name", "call_remote_tool", "--tool-args-json", remote)
    assert json.loads(called["content"][0]["text"])["timezone"] == "UTC"
    native = inspect(
        "--method", "tools/call", "--tool-name", "everything__echo", "--tool-args-json", '{"message": "x"}'
    )
    assert native["content"] == [{"type": "text", "text": "Echo: x"}]
    unknown = json.dumps({"tool_name": "time__nope"})
    inspect("--method", "tools/call", "--tool-name", "call_remote_tool", "--tool-args-json", unknown, code=5)


@pytest.mark.parametrize("era", ["legacy", "auto", "modern"])
def test_the_inspector_lists_prompts_resources_and_templates(
    era: str, url: str, place: tuple[Launcher, Path], programs: Programs, tmp_path: Path
) -> None:
    inspect = inspection(url, era, place[1], programs, tmp_path)
    prompts = {prompt["name"]: prompt for prompt in inspect("--method", "prompts/list")["prompts"]}
    assert prompts["everything__args-prompt"]["arguments"][0]["name"] == "city"
    listed = [resource["uri"] for resource in inspect("--method", "resources/list")["resources"]]
    assert "demo://resource/static/document/architecture.md" in listed
    templates = inspect("--method", "resources/templates/list")["resourceTemplates"]
    assert "demo://resource/dynamic/text/{resourceId}" in [template["uriTemplate"] for template in templates]


@pytest.mark.parametrize("over", ["stdio", "http"])
@pytest.mark.parametrize("era", ["legacy", "auto", "modern"])
def test_the_inspector_gets_a_prompt_and_reads_a_resource_first_of_all(
    over: str, era: str, url: str, launcher: Launcher, programs: Programs
) -> None:
    script = [programs.script("server-everything"), "stdio"]
    config = launcher.config({"name": "everything", "command": programs.node, "args": script})
    inspect = inspection(url if over == "http" else None, era, config, programs, launcher.folder)
    chosen = ["--prompt-name", "everything__args-prompt", "--prompt-args", "city=Oslo"]
    got = inspect("--method", "prompts/get", *chosen)
    assert got["messages"] == [{"role": "user", "content": {"type": "text", "text": "What's weather in Oslo?"}}]
    read = inspect("--method", "resources/read", "--uri", "demo://resource/dynamic/text/7")["contents"][0]
    assert read["text"].startswith("Resource 7: This is a plaintext resource")


def start_everything(launcher: Launcher, programs: Programs, port: int) -> Process:
    process = launcher.start(
        [programs.node, programs.script("server-everything"), "streamableHttp"],
        {"PORT": str(port), "PATH": str(Path(sys.executable).parent)},
    )
    process.errors.until(lambda line: "listening" in line)
    return process


def test_a_server_from_npm_that_was_restarted_is_used_again(launcher: Launcher, programs: Programs) -> None:
    port = free_port()
    first = start_everything(launcher, programs, port)
    config = launcher.config({"name": "everything", "url": f"http://127.0.0.1:{port}/mcp"})
    client = HttpClient(launcher.start_http(config).url, modern=True)
    assert client.call("everything__echo", {"message": "one"})["result"]["content"][0]["text"] == "Echo: one"
    first.end()
    start_everything(launcher, programs, port)
    assert client.call("everything__echo", {"message": "two"})["result"]["content"][0]["text"] == "Echo: two"


async def test_a_server_from_npm_over_http_and_a_gateway_behind_a_gateway(
    launcher: Launcher, programs: Programs
) -> None:
    port = free_port()
    start_everything(launcher, programs, port)
    inner = launcher.start_http(
        launcher.config({"name": "everything", "url": f"http://127.0.0.1:{port}/mcp", "expose_tools": True})
    )
    outer = launcher.start_http(launcher.config({"name": "inner", "type": "streamable-http", "url": inner.url}))
    async with Client(outer.url, mode="auto") as client:
        summed = await client.call_tool("inner__everything__get-sum", {"a": 2, "b": 3})
        assert "5" in summed.content[0].text  # type: ignore[union-attr]
        nested = {"tool_name": "everything__echo", "arguments": {"message": "deep"}}
        echoed = await client.call_tool("inner__call_remote_tool", nested)
        assert echoed.content[0].text == "Echo: deep"  # type: ignore[union-attr]
