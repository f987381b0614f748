"""A container's health check: exit code 0 when its web or engine process is ready.

    python docker/health.py web|engine

It runs every few seconds beside the process, so it imports neither Django nor anything else of Parley.
"""

from __future__ import annotations

import http.client
import os
import socket
import sys
from pathlib import Path

TIMEOUT_S = 4.0


def connection_to(name: str) -> http.client.HTTPConnection:
    """A connection to the process; the engine listens on a unix socket only."""
    if name == "web":
        return http.client.HTTPConnection("127.0.0.1", int(os.environ["PORT"]), timeout=TIMEOUT_S)
    connection = http.client.HTTPConnection("localhost")
    connection.sock = socket.socket(socket.AF_UNIX)
    connection.sock.settimeout(TIMEOUT_S)
    connection.sock.connect(str(Path(os.environ["DATA_DIR"]) / "run" / "engine.sock"))
    return connection


def main(name: str) -> int:
    try:
        connection = connection_to(name)
        connection.request("GET", "/health/ready", headers={"Host": "localhost"})
        response = connection.getresponse()
        body = response.read(500).decode(errors="replace")
    except (OSError, http.client.HTTPException) as error:
        print(f"{name} does not answer: {error}")  # noqa: T201 (docker keeps it beside the result)
        return 1
    print(response.status, body)  # noqa: T201
    return 0 if response.status == 200 else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
