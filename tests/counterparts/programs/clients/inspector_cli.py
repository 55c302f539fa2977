"""The Inspector's command line: a process for each request."""

import json
import subprocess

from report import print_report
from settings import ARGUMENTS, COMMAND, PROMPT, PROMPT_ARGUMENTS, RESOURCE, SETTINGS, URL

PREFIX: list[str] = SETTINGS["inspector"]


def inspect(method: str, *arguments: str) -> dict:
    environment = [part for name, value in SETTINGS.get("env", {}).items() for part in ("-e", f"{name}={value}")]
    reach = ["--transport", "http", "--server-url", URL] if URL else environment
    command = [] if URL else ["--", COMMAND, *ARGUMENTS]
    options = ["--stored-auth-only", "--format", "json", *reach, "--method", method]
    done = subprocess.run([*PREFIX, *options, *arguments, *command], capture_output=True, text=True, check=False)
    if done.returncode:
        return {"content": [{"text": (done.stderr.strip().splitlines() or ["it failed"])[-1]}]}
    return json.loads(done.stdout)["result"]


def call(tool: str, arguments: dict) -> str:
    """Call a tool; one that was not listed is an error of the Inspector's."""
    result = inspect("tools/call", "--tool-name", tool, "--tool-args-json", json.dumps(arguments))
    return "".join(block.get("text", "") for block in result["content"])


chosen = [f"{key}={value}" for key, value in PROMPT_ARGUMENTS.items()]
print_report(
    tools=[tool["name"] for tool in inspect("tools/list")["tools"]],
    results=[call(step["tool"], step["arguments"]) for step in SETTINGS["script"]],
    prompt=inspect("prompts/get", "--prompt-name", PROMPT, "--prompt-args", *chosen),
    resource=inspect("resources/read", "--uri", RESOURCE),
)
