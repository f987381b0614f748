"""Every text of a page and of the chat has its Chinese, and what is compiled is what is written."""

from __future__ import annotations

import gettext
import re
from pathlib import Path

import pytest
from django.utils import translation

ROOT = Path(__file__).resolve().parents[2]
PAGES = ["base.html", "landing.html", "429.html", "chat", "widget", "knowledge", "account", "allauth"]
TAG = re.compile(r"""\{%\s*translate\s+(?:"([^"]+)"|'([^']+)')""")
BLOCK = re.compile(r"\{%\s*blocktranslate[^%]*%\}(.*?)\{%\s*(?:plural|endblocktranslate)", re.DOTALL)
WORD = re.compile(r'^ +(\w+): "(.*)",$', re.MULTILINE)


def texts_of_pages() -> set[str]:
    files = [
        path
        for name in PAGES
        for path in [ROOT / "templates" / name, *(ROOT / "templates" / name).rglob("*")]
    ]
    sources = [path.read_text() for path in files if path.suffix == ".html"]
    tagged = {first or second for source in sources for first, second in TAG.findall(source)}
    blocks = {re.sub(r"\{\{\s*(\w+)\s*\}\}", r"%(\1)s", text) for s in sources for text in BLOCK.findall(s)}
    return tagged | blocks


def test_every_text_of_a_page_has_its_chinese() -> None:
    found = texts_of_pages()
    assert len(found) > 40
    with translation.override("zh-hans"):
        missing = {text for text in found if "\n" not in text and translation.gettext(text) == text}
    assert missing == set()


@pytest.mark.parametrize("path", sorted((ROOT / "templates" / "locale").rglob("*.po")))
def test_the_compiled_catalogue_is_what_is_written(path: Path) -> None:
    with path.with_suffix(".mo").open("rb") as compiled:
        catalogue = gettext.GNUTranslations(compiled)
    for source, target in re.findall(r'^msgid "(.+)"\nmsgstr "(.+)"$', path.read_text(), re.MULTILINE):
        assert catalogue.gettext(source.replace('\\"', '"')) == target.replace('\\"', '"')


def test_the_chat_says_everything_in_both_languages() -> None:
    chat = ROOT / "static" / "chat"
    english = dict(WORD.findall((chat / "strings.js").read_text()))
    chinese = dict(WORD.findall((chat / "strings.zh-hans.js").read_text()))
    first, second = (chat / "strings.more.js").read_text().split("  zh: {")
    for one, other in ((english, chinese), (dict(WORD.findall(first)), dict(WORD.findall(second)))):
        assert len(one) > 25
        assert one.keys() == other.keys()
        for key in one:
            assert set(re.findall(r"\{\w+\}", one[key])) == set(re.findall(r"\{\w+\}", other[key])), key
