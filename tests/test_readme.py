"""The README says what is true."""

from __future__ import annotations

import re
from pathlib import Path

from chatbot.env import ROOT, SETTINGS

TEXT = (ROOT / "README.md").read_text()


def test_table_of_settings_is_the_one_that_is_read() -> None:
    rows = re.findall(r"^\| `([A-Z_]+)` \| (?:`(.*?)`|–) \| (.*) \|$", TEXT, flags=re.MULTILINE)
    expected = [(s.name, s.default.removeprefix(f"{ROOT}/"), s.meaning) for s in SETTINGS]
    assert rows == expected


def test_every_linked_file_exists() -> None:
    links = [link for link in re.findall(r"\]\(([^)#]+)", TEXT) if not link.startswith("http")]
    assert links
    assert [link for link in links if not (ROOT / link).exists()] == []


def test_every_folder_of_the_tree_exists() -> None:
    tree = re.search(r"## The tree\n+```\n(.*?)```", TEXT, flags=re.DOTALL)
    assert tree is not None
    parent = Path()
    for line in tree.group(1).splitlines():
        for name in re.findall(r"(?:^|\s)([a-z_]+/)(?=\s)", line):
            if not line.startswith(" "):
                parent = Path(name)
                assert (ROOT / name).is_dir(), name
            else:
                assert (ROOT / parent / name).is_dir(), f"{parent}/{name}"


def test_every_make_target_exists() -> None:
    makefile = (ROOT / "Makefile").read_text()
    assert [t for t in re.findall(r"`make ([a-z]+)", TEXT) if f"\n{t}:" not in makefile] == []
