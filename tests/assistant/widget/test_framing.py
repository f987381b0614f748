"""Who may frame what, as Chromium sees it (S14)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from playwright.sync_api import Frame, Page

from tests.support.foreign import foreign_page
from tests.support.people import make_site, make_staff

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


@contextmanager
def framed(page: Page, url: str) -> Iterator[tuple[str, Any]]:
    """A foreign page; yields its origin and a function that opens it and returns the frame in it."""
    with foreign_page(f'<!doctype html><title>Foreign</title><iframe src="{url}"></iframe>') as origin:

        def open_page() -> Frame:
            page.goto(origin, wait_until="load")
            frame = page.frames[1]
            for _ in range(200):  # a refused frame shows its error page a moment after the parent's load
                if frame.url not in {"", "about:blank"}:
                    break
                page.wait_for_timeout(50)
            return frame

        yield origin, open_page


def test_the_widget_opens_under_a_listed_parent(page: Page, live_server: Any) -> None:
    site = make_site()
    with framed(page, f"{live_server.url}/widget/frame/shop/") as (origin, open_page):
        site.allowed_origins = [origin]
        site.save()
        frame = open_page()
        frame.wait_for_selector("#parley", state="attached")
        assert frame.url.endswith("/widget/frame/shop/")


@pytest.mark.parametrize("origins", [[], ["https://shop.example"], ["http://127.0.0.1:1"]])
def test_the_widget_stays_shut_under_any_other(page: Page, live_server: Any, origins: list[str]) -> None:
    make_site(allowed_origins=origins)
    with framed(page, f"{live_server.url}/widget/frame/shop/") as (_origin, open_page):
        frame = open_page()
        assert frame.query_selector("#parley") is None
        assert frame.url.startswith("chrome-error:")


@pytest.mark.parametrize("path", ["/console/", "/accounts/login/", "/chat/", "/"])
def test_no_other_page_opens_in_a_frame_even_of_a_listed_parent(
    page: Page, live_server: Any, path: str
) -> None:
    site = make_site()
    make_staff()
    with framed(page, f"{live_server.url}{path}") as (origin, open_page):
        site.allowed_origins = [origin]
        site.save()
        assert open_page().url.startswith("chrome-error:")
