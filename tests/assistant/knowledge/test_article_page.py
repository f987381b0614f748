"""The article page: for everybody where an active site answers from the collection, else for staff."""

from __future__ import annotations

import pytest
from django.test import Client

from assistant.knowledge.models import Article, Collection
from assistant.widget.models import Site
from tests.support.people import make_staff, make_user

pytestmark = pytest.mark.django_db


@pytest.fixture
def article(collection: Collection) -> Article:
    return Article.objects.create(
        collection=collection,
        path="docs/guide.md",
        title="Guide",
        content_hash="x",
        markdown="# Guide\n\n## Limits\n\nAt most **five** files.\n\n<script>alert(1)</script>\n",
    )


URL = "/a/manual/docs/guide.md"


def test_a_visitor_reads_an_article_of_an_active_site(client: Client, article: Article, site: Site) -> None:
    response = client.get(URL, {"quote": "At most five files."})
    text = response.content.decode()
    assert response.status_code == 200
    assert 'id="limits"' in text
    assert '<mark id="quote">' in text
    assert "<script>alert" not in text


def test_articles_of_no_active_site_are_for_staff_only(client: Client, article: Article, site: Site) -> None:
    site.is_active = False
    site.save()
    assert client.get(URL).status_code == 404
    client.force_login(make_user())
    assert client.get(URL).status_code == 404
    client.force_login(make_staff())
    assert client.get(URL).status_code == 200


def test_what_does_not_exist_is_not_found(client: Client, site: Site) -> None:
    assert client.get("/a/manual/nothing.md").status_code == 404
    assert client.get("/a/nothing/docs/guide.md").status_code == 404
