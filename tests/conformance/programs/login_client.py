"""The client that the suite judges by its scenarios about OAuth: a raw one, with the gateway between.

login_client.py URL

It lists the tools, calls one, and opens the links to which the gateway asks it to go, as a person with a browser would.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request
from http.cookiejar import CookieJar
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

GATEWAY = str(Path(sys.executable).parent / "mcp-gateway")
METADATA_DOCUMENT = "https://conformance-test.local/client-metadata.json"
CALLS = 3
"""How often the tool is called: a server may change its mind, and one must not ask for a login for ever."""

Json = dict[str, Any]


class Client:
    """A client of the gateway over stdio, of the handshake era, whose user logs in wherever asked."""

    def __init__(self, gateway: subprocess.Popen[str]) -> None:
        self._gateway, self._id = gateway, 0
        capabilities = {"elicitation": {"form": {}, "url": {}}}
        info = {"name": "login-client", "version": "1"}
        opening = {"protocolVersion": "2025-11-25", "capabilities": capabilities, "clientInfo": info}
        self.request("initialize", opening)
        self._send({"method": "notifications/initialized"})

    def request(self, method: str, params: Json) -> Json:
        """Send a request; answer what the gateway asks meanwhile; return the response."""
        self._id += 1
        self._send({"id": self._id, "method": method, "params": params})
        assert self._gateway.stdout is not None
        for line in self._gateway.stdout:
            message: Json = json.loads(line)
            if message.get("method") == "elicitation/create":
                has_logged_in = browse(message["params"]["url"])
                self._send({"id": message["id"], "result": {"action": "accept" if has_logged_in else "cancel"}})
            elif message.get("id") == self._id and "method" not in message:
                return message
        raise SystemExit("the gateway has ended")

    def call(self, name: str) -> Json:
        """Call a tool; return its result, or the error."""
        response = self.request("tools/call", {"name": name, "arguments": {}})
        result: Json = response.get("result") or {"isError": True, **response}
        print(json.dumps(result), file=sys.stderr)
        return result

    def _send(self, message: Json) -> None:
        assert self._gateway.stdin is not None
        self._gateway.stdin.write(json.dumps({"jsonrpc": "2.0", **message}) + "\n")
        self._gateway.stdin.flush()


def browse(link: str) -> bool:
    """Open a link as a browser does, with cookies, through all redirects; return whether the login succeeded."""
    browser = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(CookieJar()))
    try:
        with browser.open(link, timeout=60) as page:
            page.read()
            return True
    except urllib.error.HTTPError as error:
        print(error.code, error.read().decode()[:500], file=sys.stderr)
        return False


def read_entry(url: str) -> Json:
    """Return the server's entry: what a person would write who knows what the suite tells."""
    context = json.loads(os.environ.get("MCP_CONFORMANCE_CONTEXT", "{}"))
    entry: Json = {"name": "suite", "url": url, "auth_type": "oauth"}
    if "client_secret" in context:
        known = {name: context[name] for name in ("client_id", "client_secret")}
        return {**entry, **known, "issuer": find_issuer(url)}
    if os.environ["MCP_CONFORMANCE_SCENARIO"] == "auth/basic-cimd":
        entry["client_id"] = METADATA_DOCUMENT
    return entry


def find_issuer(url: str) -> str:
    """Return the authorization server that the scenario's server names: whoever has a secret knows whose it is."""
    parts = urlsplit(url)
    place = f"{parts.scheme}://{parts.netloc}/.well-known/oauth-protected-resource{parts.path}"
    with urllib.request.urlopen(place, timeout=30) as response:
        issuer: str = json.load(response)["authorization_servers"][0]
    return issuer


def main() -> None:
    """Put the gateway between, list and call."""
    parser = argparse.ArgumentParser()
    parser.add_argument("url")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder) / "servers.json"
        config.write_text(json.dumps({"servers": [read_entry(arguments.url)]}), encoding="utf-8")
        environment = {
            "PATH": os.environ["PATH"],
            "SERVER_CONFIG_PATH": str(config),
            "GATEWAY_OAUTH_FOLDER": str(Path(folder) / "oauth"),
            "PYTHON_KEYRING_BACKEND": "keyring.backends.fail.Keyring",
        }
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        with subprocess.Popen([GATEWAY], env=environment, cwd=folder, **pipes) as gateway:  # type: ignore[call-overload]
            client = Client(gateway)
            for _ in range(CALLS):
                client.call("suite__test-tool")
            gateway.stdin.close()


if __name__ == "__main__":
    main()
