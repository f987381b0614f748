"""Tables of reStructuredText: simple ones become Markdown tables, grids lose their frames first."""

from __future__ import annotations

import re

from assistant.knowledge.readers.rst_inline import inline

SIMPLE = re.compile(r"^=+( +=+)+\s*$")
GRID = re.compile(r"^\+(-+\+)+\s*$")

Rows = list[list[str]]


def is_table(lines: list[str], at: int) -> bool:
    return bool(SIMPLE.match(lines[at]) or GRID.match(lines[at]))


def read_table(lines: list[str], at: int) -> tuple[list[str], int]:
    """Markdown lines of the table that starts at `at`, and where it ends."""
    return read_simple(lines, at) if SIMPLE.match(lines[at]) else read_grid(lines, at)


def read_simple(lines: list[str], at: int) -> tuple[list[str], int]:
    columns = [found.span() for found in re.finditer("=+", lines[at])]
    spans = [
        (start, columns[n + 1][0] if n + 1 < len(columns) else None) for n, (start, _) in enumerate(columns)
    ]
    rows: Rows = []
    end, num_rules = at + 1, 1
    while end < len(lines):
        line = lines[end]
        end += 1
        if SIMPLE.match(line):
            num_rules += 1
            is_last = end >= len(lines) or not lines[end].strip()
            if num_rules == 3 or (num_rules == 2 and is_last):
                break
        elif line.strip() and not re.fullmatch(r"[- ]+", line):
            cells = [line[start:stop].strip() for start, stop in spans]
            if rows and not cells[0]:
                rows[-1] = [f"{old} {new}".strip() for old, new in zip(rows[-1], cells, strict=True)]
            else:
                rows.append(cells)
    return to_markdown(rows), end


def read_grid(lines: list[str], at: int) -> tuple[list[str], int]:
    end = at
    while end < len(lines) and lines[end][:1] in ("+", "|"):
        end += 1
    rows: Rows = []
    current: list[str] = []
    for line in lines[at:end]:
        if line.startswith("+"):
            if any(current):
                rows.append(current)
            current = []
            continue
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
        same = len(cells) == len(current)
        current = [f"{old} {new}".strip() for old, new in zip(current, cells, strict=True)] if same else cells
    return to_markdown(rows), end


def to_markdown(rows: Rows) -> list[str]:
    if not rows:
        return []
    width = max(len(row) for row in rows)
    shown = [[inline(cell).replace("|", "\\|") for cell in row] + [""] * (width - len(row)) for row in rows]
    lines = [f"| {' | '.join(row)} |" for row in shown]
    return [lines[0], "|" + " --- |" * width, *lines[1:]]
