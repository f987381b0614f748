"""Pages of one web site: breadth first, on the same host, below the given address, bounded in every way.

The address may come from a person in the console, so the server must not become their way into the
private network: only http(s), only public addresses, checked on the very address that is connected to
(a name that resolves differently the second time gains nothing), and again for every redirect.
"""

from __future__ import annotations

import ipaddress
import socket
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from urllib.parse import urldefrag, urljoin, urlsplit

import httpx
from bs4 import BeautifulSoup

from assistant.knowledge.errors import RefusedSource, UnreadableFile
from assistant.knowledge.readers import MAX_FILE_BYTES

Gate = Callable[[str], bool]

MAX_PAGES = 500
MAX_DEPTH = 3
MAX_REDIRECTS = 5
PAGE_TIMEOUT_S = 20.0
CRAWL_TIMEOUT_S = 900.0
SUFFIXES = {
    "text/html": ".html",
    "application/xhtml+xml": ".html",
    "application/pdf": ".pdf",
    "text/markdown": ".md",
}
SUFFIXES |= {"text/plain": ".txt", "text/x-rst": ".rst"}


@dataclass(frozen=True)
class Page:
    url: str
    path: str
    data: bytes

    def load(self) -> bytes:
        return self.data


def is_public(address: str) -> bool:
    """Whether an IP address belongs to the open internet."""
    ip = ipaddress.ip_address(address)
    mapped = getattr(ip, "ipv4_mapped", None)
    return (mapped or ip).is_global and not ip.is_multicast


def crawl(start: str, *, may_connect: Gate = is_public) -> list[Page]:
    """The page at `start` and those below it. A page that fails is left out, the first one must not fail.

    Raises RefusedSource: another scheme, a private address, nothing readable at `start`.
    """
    start = urldefrag(start).url
    scope = start if start.endswith("/") else start.rsplit("/", 1)[0] + "/"
    queue = deque([(start, 0)])
    seen = {start}
    pages: list[Page] = []
    ends_at = time.monotonic() + CRAWL_TIMEOUT_S
    while queue and len(pages) < MAX_PAGES and time.monotonic() < ends_at:
        url, depth = queue.popleft()
        try:
            page = fetch(url, may_connect=may_connect)
        except UnreadableFile as error:
            if not pages:
                raise RefusedSource(str(error)) from error
            continue
        pages.append(page)
        if depth < MAX_DEPTH and page.path.endswith(".html"):
            for link in links(page):
                if link.startswith(scope) and link not in seen:
                    seen.add(link)
                    queue.append((link, depth + 1))
    return pages


def links(page: Page) -> Iterator[str]:
    for tag in BeautifulSoup(page.data, "lxml").find_all("a", href=True):
        yield urldefrag(urljoin(page.url, str(tag["href"]))).url


def fetch(url: str, *, may_connect: Gate) -> Page:
    """One page, its redirects followed on the same host. Raises RefusedSource or UnreadableFile."""
    host = urlsplit(url).hostname
    for _ in range(MAX_REDIRECTS + 1):
        address = check(url, may_connect)
        with open_stream(url, address) as response:
            if response.is_redirect:
                url = urljoin(url, response.headers.get("location", ""))
                if urlsplit(url).hostname != host:
                    raise UnreadableFile(f"it redirects to {url}, another host. Ingest that address itself.")
                continue
            if response.is_error:
                raise UnreadableFile(f"{url}: HTTP status {response.status_code}.")
            return Page(
                url, path_of(url, response.headers.get("content-type", "")), read_bounded(url, response)
            )
    raise UnreadableFile(f"{url}: more than {MAX_REDIRECTS} redirects.")


def check(url: str, may_connect: Gate) -> str:
    """The address to connect to."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.username:
        raise RefusedSource(f"{url}: only plain http(s) addresses are read.")
    try:
        port = parts.port or (443 if parts.scheme == "https" else 80)
        found = socket.getaddrinfo(parts.hostname, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError, ValueError) as error:
        raise UnreadableFile(f"{url}: the host has no address ({error}).") from error
    addresses = [str(entry[4][0]) for entry in found]
    for address in addresses:
        if not may_connect(address):
            raise RefusedSource(
                f"{url}: {address} is not a public address, so it is not read. Ingest a local folder."
            )
    return addresses[0]


class open_stream:
    """GET `url` over a connection to exactly `address`; the certificate is still the host's."""

    def __init__(self, url: str, address: str) -> None:
        parts = urlsplit(url)
        literal = f"[{address}]" if ":" in address else address
        port = f":{parts.port}" if parts.port else ""
        target = parts._replace(netloc=literal + port).geturl()
        self.client = httpx.Client(timeout=PAGE_TIMEOUT_S, trust_env=False, follow_redirects=False)
        host = (parts.hostname or "") + port
        self.request = self.client.build_request(
            "GET",
            target,
            headers={"Host": host, "User-Agent": "Parley-ingest"},
            extensions={"sni_hostname": parts.hostname, "timeout": httpx.Timeout(PAGE_TIMEOUT_S).as_dict()},
        )
        self.url = url

    def __enter__(self) -> httpx.Response:
        try:
            self.response = self.client.send(self.request, stream=True)
        except httpx.HTTPError as error:
            self.client.close()
            raise UnreadableFile(f"{self.url}: {type(error).__name__}: {error}") from error
        return self.response

    def __exit__(self, *details: object) -> None:
        self.response.close()
        self.client.close()


def read_bounded(url: str, response: httpx.Response) -> bytes:
    """The body, at most MAX_FILE_BYTES of it and for at most PAGE_TIMEOUT_S: a length header may lie."""
    body = bytearray()
    ends_at = time.monotonic() + PAGE_TIMEOUT_S
    try:
        for chunk in response.iter_bytes():
            body += chunk
            if len(body) > MAX_FILE_BYTES or time.monotonic() > ends_at:
                raise UnreadableFile(
                    f"{url}: larger than {MAX_FILE_BYTES:,} bytes or slower than {PAGE_TIMEOUT_S:g} s."
                )
    except httpx.HTTPError as error:
        raise UnreadableFile(f"{url}: broke off ({error}).") from error
    return bytes(body)


def path_of(url: str, content_type: str) -> str:
    """The article's path: host and path, with the suffix that the content type asks for."""
    kind = content_type.partition(";")[0].strip().lower()
    if kind not in SUFFIXES:
        raise UnreadableFile(f"{url}: {kind or 'no content type'} is not read.")
    parts = urlsplit(url)
    path = parts.path.strip("/") or "index"
    query = f"-{parts.query}" if parts.query else ""
    suffix = "" if path.endswith((".md", ".rst", ".txt", ".pdf", ".html")) and not query else SUFFIXES[kind]
    return f"{parts.hostname}/{path}{query}{suffix}"[:500]
