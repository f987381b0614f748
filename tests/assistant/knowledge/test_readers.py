"""Files of every format become readable Markdown; what is not what it says is refused."""

from __future__ import annotations

import io
import zipfile

import docx
import pytest

from assistant.knowledge.errors import UnreadableFile
from assistant.knowledge.readers import docx as docx_reader
from assistant.knowledge.readers import read


def rst(text: str) -> str:
    return read("a.txt", text.encode()).markdown


def test_rst_headings_take_their_level_from_the_order_of_adornments() -> None:
    text = "=====\nTitle\n=====\n\nPart\n====\n\nSection\n-------\n\nPart two\n========\n"
    assert rst(text).splitlines()[::2] == ["# Title", "## Part", "### Section", "## Part two"]


def test_rst_unknown_roles_become_their_words() -> None:
    text = "Use :djadmin:`migrate <admin migrate>`, :setting:`DEBUG` and :func:`~a.b.run`, see :ref:`how-to`."
    assert rst(text) == "Use `migrate`, `DEBUG` and `run`, see how to."


def test_rst_unknown_directive_with_content_is_found_under_its_signature() -> None:
    text = "Title\n=====\n\n.. fancyoption:: --verbosity LEVEL\n   :group: x\n\n   How much is said.\n"
    assert rst(text) == "# Title\n\n## `--verbosity LEVEL`\n\nHow much is said."


def test_rst_marker_directives_leave_nothing() -> None:
    assert (
        rst(".. setting:: DEBUG\n\nDEBUG\n=====\n\nText.\n\n.. toctree::\n\n   a\n   b\n")
        == "# DEBUG\n\nText."
    )


def test_rst_literal_blocks_and_code_blocks_are_fenced() -> None:
    assert rst("Run::\n\n    make run\n") == "Run:\n\n```\nmake run\n```"
    assert rst(".. code-block:: python\n\n    x = 1\n\n    y = 2\n") == "```python\nx = 1\n\ny = 2\n```"


def test_rst_notes_keep_their_first_line_with_the_rest() -> None:
    assert rst(".. note:: Only on\n   Mondays.\n") == "**Note:**\n\nOnly on\nMondays."


def test_rst_nested_list_keeps_its_structure() -> None:
    assert rst("* one\n\n  * inner\n* two\n") == "- one\n\n  - inner\n- two"


def test_rst_simple_table_becomes_a_table() -> None:
    text = "=====  =====\nName   Does\n=====  =====\n``a``  first\n``b``  second\n=====  =====\n"
    assert rst(text) == "| Name | Does |\n| --- | --- |\n| `a` | first |\n| `b` | second |"


def test_html_reads_the_main_part_and_drops_scripts() -> None:
    page = (
        b"<html><body><nav>menu</nav><main><h1>Title</h1><p>A <b>bold</b> word.<script>evil()</script></p>"
        b"<ul><li>one</li></ul><pre>x = 1\ny = 2</pre></main></body></html>"
    )
    document = read("page.html", page)
    assert document.title == "Title"
    assert document.markdown == "# Title\n\nA **bold** word.\n\n- one\n\n```\nx = 1\ny = 2\n```"


def make_docx() -> bytes:
    document = docx.Document()
    document.add_heading("Returns", 1)
    document.add_paragraph("Send it back within 14 days.")
    table = document.add_table(rows=2, cols=2)
    for row, cells in zip(table.rows, [("Country", "Days"), ("France", "30")], strict=True):
        row.cells[0].text, row.cells[1].text = cells
    stream = io.BytesIO()
    document.save(stream)
    return stream.getvalue()


def test_docx_keeps_headings_and_tables_in_order() -> None:
    markdown = read("a.docx", make_docx()).markdown
    assert markdown.startswith(
        "# Returns\n\nSend it back within 14 days.\n\n| Country | Days |\n| --- | --- |"
    )


def test_docx_bomb_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(docx_reader, "MAX_UNPACKED_BYTES", 1_000_000)
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("word/document.xml", b"0" * 2_000_000)
    with pytest.raises(UnreadableFile, match="refused"):
        read("bomb.docx", stream.getvalue())


def make_pdf(text: str) -> bytes:
    """The smallest PDF with one line of text."""
    stream = f"BT /F1 12 Tf 72 720 Td ({text}) Tj ET".encode()
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents 4 0 R"
        b" /Resources << /Font << /F1 5 0 R >> >> >>",
        b"<< /Length %d >>\nstream\n%s\nendstream" % (len(stream), stream),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
    ]
    body = b"%PDF-1.4\n"
    offsets = []
    for number, content in enumerate(objects, 1):
        offsets.append(len(body))
        body += b"%d 0 obj\n%s\nendobj\n" % (number, content)
    table = b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    start = len(body)
    body += b"xref\n0 6\n0000000000 65535 f \n" + table
    return body + b"trailer << /Size 6 /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF" % start


def test_pdf_pages_are_sections() -> None:
    assert (
        read("manual.pdf", make_pdf("Warranty lasts two years")).markdown
        == "## Page 1\n\nWarranty lasts two years"
    )


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("fake.pdf", b"MZ\x90\x00 not a pdf"),
        ("fake.docx", b"<svg onload=alert(1)>"),
        ("broken.pdf", b"%PDF-1.4 and nothing else"),
        ("broken.docx", b"PK\x03\x04 and nothing else"),
        ("binary.txt", b"abc\x00\x01\x02"),
        ("picture.svg", b"<svg/>"),
        ("empty.md", b"   \n"),
    ],
)
def test_files_that_are_not_what_they_say_are_refused(name: str, data: bytes) -> None:
    with pytest.raises(UnreadableFile):
        read(name, data)


def test_chinese_is_recognised() -> None:
    assert read("a.md", "# 部署\n\n如何部署这个应用程序？".encode()).locale == "zh-hans"
