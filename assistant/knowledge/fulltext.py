"""The full-text index over passages: FTS5 on SQLite, a GIN index on PostgreSQL.

Both index `Passage.headings` and `Passage.terms` and are kept by the database itself (triggers, a
generated expression), so no path of writing can forget them. A test asserts that they are there,
because rebuilding a SQLite table in a later migration drops its triggers.
"""

from __future__ import annotations

from collections.abc import Iterable

from django.db import connection

HEADING_WEIGHT = 5.0

SQLITE_INSTALL = [
    "CREATE VIRTUAL TABLE knowledge_fts USING fts5(headings, terms, content='knowledge_passage',"
    " content_rowid='id', tokenize='porter unicode61 remove_diacritics 2')",
    "CREATE VIRTUAL TABLE knowledge_vocabulary USING fts5vocab('knowledge_fts', 'row')",
    "CREATE TRIGGER knowledge_fts_insert AFTER INSERT ON knowledge_passage BEGIN"
    " INSERT INTO knowledge_fts(rowid, headings, terms) VALUES (new.id, new.headings, new.terms); END",
    "CREATE TRIGGER knowledge_fts_delete AFTER DELETE ON knowledge_passage BEGIN"
    " INSERT INTO knowledge_fts(knowledge_fts, rowid, headings, terms)"
    " VALUES ('delete', old.id, old.headings, old.terms); END",
    "CREATE TRIGGER knowledge_fts_update AFTER UPDATE OF headings, terms ON knowledge_passage BEGIN"
    " INSERT INTO knowledge_fts(knowledge_fts, rowid, headings, terms)"
    " VALUES ('delete', old.id, old.headings, old.terms);"
    " INSERT INTO knowledge_fts(rowid, headings, terms) VALUES (new.id, new.headings, new.terms); END",
]
SQLITE_REMOVE = [
    "DROP TRIGGER knowledge_fts_update",
    "DROP TRIGGER knowledge_fts_delete",
    "DROP TRIGGER knowledge_fts_insert",
    "DROP TABLE knowledge_vocabulary",
    "DROP TABLE knowledge_fts",
]
POSTGRES_VECTOR = (
    "(setweight(to_tsvector('english', headings), 'A') || setweight(to_tsvector('english', terms), 'C'))"
)
POSTGRES_INSTALL = [f"CREATE INDEX knowledge_fts ON knowledge_passage USING gin ({POSTGRES_VECTOR})"]
POSTGRES_REMOVE = ["DROP INDEX knowledge_fts"]

SQLITE_SEARCH = (
    "SELECT rowid, -bm25(knowledge_fts, %s, 1.0) AS score FROM knowledge_fts"
    " WHERE knowledge_fts MATCH %s ORDER BY score DESC LIMIT %s"
)
POSTGRES_SEARCH = (
    f"SELECT id, ts_rank_cd({POSTGRES_VECTOR}, query, 1) * 10 AS score"  # noqa: S608
    f" FROM knowledge_passage, to_tsquery('english', %s) query WHERE {POSTGRES_VECTOR} @@ query"
    " ORDER BY score DESC LIMIT %s"
)
SQLITE_COUNT = "SELECT count(*) FROM knowledge_fts WHERE knowledge_fts MATCH %s"
POSTGRES_COUNT = (
    f"SELECT count(*) FROM knowledge_passage WHERE {POSTGRES_VECTOR}"  # noqa: S608
    " @@ to_tsquery('english', %s)"
)


def is_postgres() -> bool:
    return connection.vendor == "postgresql"


def search(terms: Iterable[str], *, limit: int) -> list[tuple[int, float]]:
    """(passage id, score) of passages that hold any of `terms`, best first. Several words: a phrase.

    The score is BM25 (headings weigh five times) or PostgreSQL's cover density; higher is better.
    """
    phrases = [phrase for phrase in terms if phrase.strip()]
    if not phrases:
        return []
    with connection.cursor() as cursor:
        if is_postgres():
            cursor.execute(POSTGRES_SEARCH, [" | ".join(map(postgres_phrase, phrases)), limit])
        else:
            cursor.execute(SQLITE_SEARCH, [HEADING_WEIGHT, " OR ".join(map(sqlite_phrase, phrases)), limit])
        return [(int(row), float(score)) for row, score in cursor.fetchall()]


def num_passages_with(terms: Iterable[str]) -> dict[str, int]:
    """How many passages hold each term: 0 tells a word that nobody wrote."""
    found = {}
    with connection.cursor() as cursor:
        for term in terms:
            if is_postgres():
                cursor.execute(POSTGRES_COUNT, [postgres_phrase(term)])
            else:
                cursor.execute(SQLITE_COUNT, [sqlite_phrase(term)])
            found[term] = int(cursor.fetchone()[0])
    return found


def vocabulary(prefix: str, *, lengths: range) -> list[str]:
    """Indexed (stemmed) words that start so: the candidates of a spelling mistake."""
    if is_postgres():
        return []  # ts_stat over all passages takes seconds: misspelt words are left to the vectors there
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT term FROM knowledge_vocabulary WHERE term >= %s AND term < %s"
            " AND length(term) BETWEEN %s AND %s",
            [prefix, prefix + "\U0010ffff", lengths.start, lengths.stop - 1],
        )
        return [row[0] for row in cursor.fetchall()]


def sqlite_phrase(phrase: str) -> str:
    return '"' + phrase.replace('"', " ") + '"'


def postgres_phrase(phrase: str) -> str:
    parts = ["'" + part.replace("'", " ").replace("\\", " ") + "'" for part in phrase.split()]
    return "(" + " <-> ".join(parts) + ")"
