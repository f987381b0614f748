"""What sites hand out."""

from __future__ import annotations

import pytest
from django.core.exceptions import ValidationError

from assistant.widget import services
from tests.support.people import make_site

pytestmark = pytest.mark.django_db


def test_a_site_that_is_switched_off_is_not_found() -> None:
    make_site(is_active=False)
    with pytest.raises(services.SiteNotFound):
        services.get_site("shop")


def test_the_demo_site_speaks_both_languages_and_is_left_as_it_was_edited() -> None:
    site, is_new = services.create_demo_site()
    assert is_new
    assert set(site.greeting) == set(site.starters) == {"en", "zh-hans"}
    site.name = "Mine"
    site.save()
    again, is_new = services.create_demo_site()
    assert (again.name, is_new) == ("Mine", False)


def test_the_snippet_names_server_and_site() -> None:
    snippet = services.embed_snippet(make_site(), base_url="https://chat.example/")
    assert '<script async src="https://chat.example/widget.js"></script>' in snippet
    assert '<parley-chat site="shop">' in snippet


def test_a_stored_origin_that_is_none_never_reaches_the_policy() -> None:
    site = make_site(allowed_origins=["https://shop.example", "https://x.example; script-src *", 7])
    assert services.frame_ancestors(site) == ["'self'", "https://shop.example"]


@pytest.mark.parametrize("color", ["red", "#12345", "#123456;}body{", "#12345g"])
def test_a_colour_that_is_none_is_refused(color: str) -> None:
    with pytest.raises(ValidationError, match="color"):
        make_site("x", color="#123456").__class__(slug="y", name="Y", color=color).full_clean()
