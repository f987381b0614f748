"""Reading a web site: only public addresses, only the same host, bounded."""

from __future__ import annotations

import http.server
import threading
from collections.abc import Iterator

import pytest

from assistant.knowledge import crawl
from assistant.knowledge.errors import RefusedSource, UnreadableFile

PAGES = {
    "/docs/": (
        "text/html",
        b'<h1>Home</h1><a href="a.html">a</a><a href="/other/x.html">x</a><a href="b.md#c">b</a>',
    ),
    "/docs/a.html": ("text/html", b'<h1>A</h1><a href="/docs/">home</a><a href="missing.html">gone</a>'),
    "/docs/b.md": ("text/markdown", b"# B"),
    "/other/x.html": ("text/html", b"<h1>X</h1>"),
    "/docs/picture": ("image/png", b"\x89PNG"),
}


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        if self.path.startswith("/away"):
            self.send_response(302)
            self.send_header("Location", "http://localhost:1/elsewhere")
            self.end_headers()
            return
        kind, body = PAGES.get(self.path, ("text/html", b""))
        self.send_response(200 if self.path in PAGES else 404)
        self.send_header("Content-Type", kind)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: object) -> None:
        """Quiet."""


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as httpd:
        threading.Thread(target=httpd.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{httpd.server_address[1]}"
        httpd.shutdown()


def anywhere(address: str) -> bool:
    return True


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "10.1.2.3",
        "192.168.0.1",
        "172.16.0.1",
        "169.254.169.254",
        "0.0.0.0",
        "100.64.0.1",
        "224.0.0.1",
        "::1",
        "fe80::1",
        "fc00::1",
        "::ffff:127.0.0.1",
    ],
)
def test_private_addresses_are_not_public(address: str) -> None:
    assert not crawl.is_public(address)


def test_the_open_internet_is_public() -> None:
    assert crawl.is_public("93.184.216.34")


@pytest.mark.parametrize(
    "url",
    [
        "{server}/docs/",
        "http://localhost/",
        "http://2130706433/",
        "http://[::1]/",
        "http://user@example.com/",
    ],
)
def test_private_targets_are_refused_before_anything_is_sent(server: str, url: str) -> None:
    with pytest.raises(RefusedSource):
        crawl.crawl(url.format(server=server))


def test_pages_below_the_start_are_read_once(server: str) -> None:
    pages = crawl.crawl(f"{server}/docs/", may_connect=anywhere)
    assert [page.path for page in pages] == [
        "127.0.0.1/docs.html",
        "127.0.0.1/docs/a.html",
        "127.0.0.1/docs/b.md",
    ]


def test_a_redirect_to_another_host_is_not_followed(server: str) -> None:
    with pytest.raises(RefusedSource, match="another host"):
        crawl.crawl(f"{server}/away", may_connect=anywhere)


def test_other_content_is_not_read(server: str) -> None:
    with pytest.raises(UnreadableFile, match="image/png"):
        crawl.fetch(f"{server}/docs/picture", may_connect=anywhere)


def test_a_page_that_is_too_large_is_cut_off(server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(crawl, "MAX_FILE_BYTES", 10)
    with pytest.raises(UnreadableFile, match="larger"):
        crawl.fetch(f"{server}/docs/", may_connect=anywhere)
