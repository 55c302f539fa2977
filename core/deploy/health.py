"""Health check of a container: exit code 0 if the gateway answers at its port.

It needs no shell, no curl and no token: a gateway that asks for a token answers 401, and so it lives.
"""

from __future__ import annotations

import http.client
import os
import sys
from http import HTTPStatus

_TIMEOUT = 4.0
_ALIVE = {HTTPStatus.OK, HTTPStatus.UNAUTHORIZED}


def check_health(port: int) -> str:
    """Ask the gateway on this machine; return what is wrong, or nothing."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=_TIMEOUT)
    try:
        connection.request("GET", "/health", headers={"Host": "localhost"})
        status = connection.getresponse().status
    except (OSError, http.client.HTTPException) as error:
        return f"nothing answers at port {port}: {error}"
    finally:
        connection.close()
    return "" if status in _ALIVE else f"the answer at port {port} is HTTP {status}"


if __name__ == "__main__":
    sys.exit(check_health(int(os.environ.get("GATEWAY_PORT", "8080"))) or None)
