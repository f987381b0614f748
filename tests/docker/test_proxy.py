"""The proxy passes answers on as they come, tells who asked, and compresses what is nobody's secret.

With nginx itself, in front of a small server that shows what arrives, and once in front of Parley.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest

from assistant.accounts import visitors
from tests.docker.files import PROXY, image_environment
from tests.support.chat_client import RemoteChat
from tests.support.people import make_site
from tests.support.scripted_engine import ScriptedEngine, free_port
from tests.support.valkey import ValkeyServer
from tests.support.web import WebServer

NGINX = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin:/sbin")
needs_nginx = pytest.mark.skipif(NGINX is None, reason="nginx is not installed")
UPSTREAM = f"http://web:{image_environment()['PORT']}"
# Checked and released one by one.
SENTENCES = " ".join(f"This is sentence number {number}." for number in range(1, 16))

Proxy = Callable[[int], int]


class Upstream(BaseHTTPRequestHandler):
    """/echo: the headers that arrived; /stream: half an answer, the rest when told; else a long text."""

    protocol_version = "HTTP/1.1"
    go_on = threading.Event()

    def do_GET(self) -> None:
        if self.path == "/stream":
            self.send_response(200)
            self.send_header("Content-Type", "text/event-stream")
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            self.wfile.write(b"7\r\ndata: 1\r\n")
            self.go_on.wait(10)
            self.wfile.write(b"7\r\ndata: 2\r\n0\r\n\r\n")
            return
        is_echo = self.path == "/echo"
        body = json.dumps(dict(self.headers)).encode() if is_echo else b"let answer = 42;\n" * 500
        self.send_response(200)
        self.send_header("Content-Type", "application/json" if is_echo else "text/javascript")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(204)
        self.end_headers()

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def proxy(tmp_path: Path) -> Iterator[Proxy]:
    """Starts nginx with proxy.conf in front of a port of this machine; gives nginx's own port."""
    started: list[subprocess.Popen[bytes]] = []

    def start(upstream_port: int) -> int:
        port = free_port()
        text = PROXY.replace(UPSTREAM, f"http://127.0.0.1:{upstream_port}")
        text = text.replace("listen 8080", f"listen 127.0.0.1:{port}").replace("/tmp/", f"{tmp_path}/")
        (tmp_path / "nginx.conf").write_text(text.replace("worker_processes auto", "worker_processes 1"))
        # Its workers may write to the test's folder only as whoever runs the test.
        line = "daemon off;" + (" user root;" if os.getuid() == 0 else "")
        argv = [str(NGINX), "-p", str(tmp_path), "-c", str(tmp_path / "nginx.conf"), "-g", line]
        started.append(subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))
        deadline = time.monotonic() + 10
        while not (tmp_path / "nginx.pid").exists():
            assert started[-1].poll() is None, "nginx did not start"
            assert time.monotonic() < deadline
            time.sleep(0.02)
        return port

    yield start
    for process in started:
        process.terminate()
        process.wait(timeout=10)


@pytest.fixture
def address(proxy: Proxy) -> Iterator[str]:
    """The proxy's address, in front of Upstream."""
    Upstream.go_on.clear()
    server = ThreadingHTTPServer(("127.0.0.1", 0), Upstream)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{proxy(server.server_address[1])}"
    server.shutdown()
    server.server_close()


@pytest.fixture
def client() -> Iterator[httpx.Client]:
    with httpx.Client(trust_env=False, timeout=10) as client:
        yield client


def test_it_says_what_streaming_needs() -> None:
    """Holds without nginx, too."""
    for line in (
        f"set $web {UPSTREAM};",
        "proxy_buffering off;",
        "proxy_http_version 1.1;",
        "proxy_set_header Upgrade $http_upgrade;",
        "proxy_set_header Connection $connection_header;",
        "proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;",
    ):
        assert line in PROXY, line


@needs_nginx
def test_nginx_accepts_it(tmp_path: Path) -> None:
    (tmp_path / "nginx.conf").write_text(PROXY.replace("/tmp/", f"{tmp_path}/"))
    argv = [str(NGINX), "-t", "-p", str(tmp_path), "-c", str(tmp_path / "nginx.conf")]
    done = subprocess.run(argv, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "[warn]" not in done.stderr


@needs_nginx
def test_text_arrives_before_the_answer_ends(address: str, client: httpx.Client) -> None:
    with client.stream("GET", f"{address}/stream", headers={"Accept-Encoding": "gzip"}) as response:
        pieces = response.iter_text()
        assert next(pieces) == "data: 1"
        Upstream.go_on.set()
        assert "".join(pieces) == "data: 2"
        assert "content-encoding" not in response.headers


@needs_nginx
def test_the_address_of_who_asked_is_the_last_entry(address: str, client: httpx.Client) -> None:
    """What the client writes itself stays on the left, where TRUSTED_PROXIES=1 does not look."""
    seen = client.get(f"{address}/echo", headers={"X-Forwarded-For": "203.0.113.9"}).json()
    assert seen["X-Forwarded-For"] == "203.0.113.9, 127.0.0.1"
    assert seen["Host"] == address.removeprefix("http://")
    assert seen["X-Forwarded-Proto"] == "http"


@needs_nginx
@pytest.mark.parametrize(
    ("path", "encoding"),
    [("/static/chat/chat.js", "gzip"), ("/widget.js", "gzip"), ("/echo", None), ("/api/private", None)],
)
def test_only_public_files_are_compressed(
    address: str, client: httpx.Client, path: str, encoding: str | None
) -> None:
    response = client.get(address + path, headers={"Accept-Encoding": "gzip", "X-Long": "x" * 2000})
    assert response.headers.get("content-encoding") == encoding


@needs_nginx
@pytest.mark.parametrize(("megabytes", "status"), [(20, 204), (33, 413)])
def test_an_upload_passes_and_a_flood_does_not(
    address: str, client: httpx.Client, megabytes: int, status: int
) -> None:
    response = client.post(f"{address}/console/", content=b"x" * (megabytes * 1024 * 1024))
    assert response.status_code == status


@pytest.fixture
def visitor_token(transactional_db: None) -> str:
    visitor = visitors.new_visitor(site=make_site(scenario="plain"))
    return visitors.issue_token(visitor=visitor).token


@needs_nginx
async def test_a_conversation_streams_through_it(
    proxy: Proxy, visitor_token: str, valkey: ValkeyServer
) -> None:
    with ScriptedEngine(rate=40) as engine:
        scenario = {"TEST_SCENARIOS": "tests.support.plain_scenario.Plain"}
        with WebServer(engine_socket=engine.socket_path, environment=scenario) as web:
            port = proxy(web.port)
            chat = await RemoteChat(visitor_token, f"ws://127.0.0.1:{port}/ws/chat/").open()
            await chat.ask(f"Count, please. [[say:{SENTENCES}]]")
            await chat.until("delta")
            assert not chat.transcript.is_answered
            answer = await chat.until_answered()
            await chat.close()
    assert answer["text"] == SENTENCES
    assert sum(frame["type"] == "delta" for frame in chat.transcript.frames) > 1
