"""Links and images in an answer: a picture from a stranger's host carries off whatever is in its address.

A link may lead to our own pages (a path), to an allowed host, to an address that stands word for word in
the sources, to this machine, or to a name that is reserved for examples. A picture may come only from
our own pages or an allowed host. A `src` attribute in HTML counts as a link, not as a picture: HTML is never
rendered, so it can only be an example to read, and a documentation is full of those.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Iterator
from urllib.parse import urlsplit

from assistant.safety.folding import fold

_URL = re.compile(
    r"(?P<image>!\[[^\]\n]{0,300}\]\(\s?<?)?"
    r"(?P<url>(?:[a-z][a-z0-9+.-]{1,20}:)?(?:(?<![\w:/])|(?<=:))[\\/]{2}[^\s<>\"'`)\]}，。；、！？）】》]{1,2000}"
    r"|\b(?:https?|wss?|ftp):(?=[\w-]{1,63}\.)[^\s<>\"'`)\]}]{1,500}"  # a browser adds the slashes
    r"|\b(?:data:[a-z]{1,20}/|javascript:|vbscript:)[^\s<>\"'`)\]}]{1,2000}|(?<![\w./@-])www\.[^\s<>\"'`)\]}]{1,500})",
    re.IGNORECASE,
)

# Loopback, and the names that RFC 2606 keeps for documentation: nobody listens there.
_NOBODY = re.compile(
    r"localhost|127(?:\.\d{1,3}){3}|::1|(?:[a-z0-9-]+\.)*(?:example\.(?:com|net|org)|example|test|invalid|localhost)"
)


class Links:
    def __init__(self, allowed_hosts: Iterable[str], sources: Iterable[str]) -> None:
        self._allowed = {host.lower() for host in allowed_hosts}
        self._known = {_clean(match["url"]) for text in sources for match in _links_in(text)}

    def foreign_host(self, text: str) -> str | None:
        """The host (or scheme) of the first forbidden link."""
        for match in _links_in(text):
            url, is_image = _clean(match["url"]), match["image"] is not None
            host = _host(url)
            if not self._is_allowed(host) and (is_image or not self._is_harmless(url, host)):
                return host or url.split(":")[0]
        return None

    def _is_allowed(self, host: str) -> bool:
        if host in self._allowed:
            return True
        parts = host.split(".")
        return any(f"*.{'.'.join(parts[index:])}" in self._allowed for index in range(1, len(parts)))

    def _is_harmless(self, url: str, host: str) -> bool:
        return url in self._known or _NOBODY.fullmatch(host) is not None


def _links_in(text: str) -> Iterator[re.Match[str]]:
    """Read as a renderer and a browser would: entities decoded, invisible characters dropped."""
    return _URL.finditer(html.unescape(fold(text).text))


def _clean(url: str) -> str:
    return url.rstrip(".,;:!?*_|/")


def _host(url: str) -> str:
    """Empty for addresses without a host (data:, javascript:, mailto:)."""
    plain = re.sub(r"^([a-z]+:)(?![\\/])", r"\1//", url.replace("\\", "/"), flags=re.IGNORECASE)
    if plain.lower().startswith("www."):
        plain = "//" + plain
    try:
        return (urlsplit(plain).hostname or "").lower()
    except ValueError:
        return ""
