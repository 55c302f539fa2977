import subprocess
import sys

START = (
    "from mcp_gateway.runtime.lazy_imports import defer_sdk_imports; defer_sdk_imports(); import mcp_gateway.app, sys; "
)


def run_program(program):
    """Run a program in a process of its own; return what it prints."""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def test_the_gateway_starts_without_what_it_does_not_use_of_the_sdk():
    assert run_program(START + "print('mcp.server.mcpserver' in sys.modules, 'mcp.client.client' in sys.modules)") == [
        "False",
        "False",
    ]


def test_the_gateway_is_put_together_without_the_sdks_server_which_is_loaded_after_the_handshake():
    late = ("mcp.server.lowlevel.server", "mcp_types.methods", "starlette", "uvicorn", "mcp_gateway.server.server")
    assert run_program(START + f"print(*[name in sys.modules for name in {late}])") == ["False"] * len(late)


def test_log_lines_are_written_without_rich_where_that_is_installed(tmp_path):
    (tmp_path / "rich.py").write_text("raise SystemExit('somebody imported rich')")
    find = f"import sys; sys.path.insert(0, {str(tmp_path)!r}); "
    assert run_program(find + START + "print('structlog' in sys.modules, 'rich' in sys.modules)") == ["True", "False"]


def test_everything_of_the_sdk_is_there_for_who_asks():
    ask = "from mcp import Client; from mcp.server import MCPServer; import mcp; "
    assert run_program(START + ask + "print(Client.__name__, type(mcp).__name__)") == ["Client", "module"]


def test_what_was_imported_before_stays_as_it_is():
    assert run_program("import mcp; " + START + "print(sys.modules['mcp'] is mcp, type(mcp).__name__)") == [
        "True",
        "module",
    ]
