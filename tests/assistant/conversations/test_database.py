"""SQLite as it is set up, under writers (R17)."""

from __future__ import annotations

import threading
import time
import uuid

import pytest
from django.db import connection

from assistant.conversations import leases, loading, turns
from assistant.conversations.models import Message, Turn
from assistant.conversations.writing import _finish, _save
from assistant.widget.models import Site
from tests.assistant.conversations.conftest import PLAIN, make_person

WRITERS, SECONDS = 8, 8.0
is_sqlite = pytest.mark.skipif("connection.vendor != 'sqlite'", reason="about SQLite")


@is_sqlite
def test_the_pragmas_are_set_on_every_connection(transactional_db: None) -> None:
    expected = {"journal_mode": "wal", "synchronous": 1, "foreign_keys": 1, "busy_timeout": 20_000}
    seen: list[dict[str, object]] = []

    def look() -> None:
        with connection.cursor() as cursor:
            seen.append({name: cursor.execute(f"PRAGMA {name}").fetchone()[0] for name in expected})
        connection.close()

    look()
    thread = threading.Thread(target=look)
    thread.start()
    thread.join()
    assert seen == [expected, expected]
    assert connection.settings_dict["OPTIONS"]["transaction_mode"] == "IMMEDIATE"
    assert connection.settings_dict["CONN_MAX_AGE"] == 0


def answer_until(deadline: float, site: Site, errors: list[Exception], counts: list[int]) -> None:
    """One writer: whole turns, saved as often as a fast engine would have them saved."""
    person = make_person(site)
    num_answers = 0
    try:
        while time.monotonic() < deadline:
            conversation = turns.open_conversation(
                principal=person.principal, site=site, scenario="plain", locale="en", client_id=uuid.uuid4()
            )
            turn = turns.start(
                conversation=conversation, principal=person.principal, text="Why?", client_id=uuid.uuid4()
            )
            loaded = loading.load(turn.pk, turn.fencing_token)
            for seq in range(1, 6):
                _save(loaded, seq, "word " * seq, [])
            changes = {"text": "word " * 6, "state": Message.State.COMPLETE, "outcome": "answered"}
            _finish(loaded, changes | {"citations": [], "receipt": {}}, 7, [], [], False)
            num_answers += 1
    except Exception as error:
        errors.append(error)
    finally:
        counts.append(num_answers)
        connection.close()


def test_eight_writers_never_find_the_database_locked(site: Site, settings: object) -> None:
    settings.SCENARIOS = [PLAIN]  # type: ignore[attr-defined]
    errors: list[Exception] = []
    counts: list[int] = []
    deadline = time.monotonic() + SECONDS
    threads = [
        threading.Thread(target=answer_until, args=(deadline, site, errors, counts)) for _ in range(WRITERS)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert min(counts) > 0
    assert Turn.objects.filter(state=Turn.State.DONE).count() == sum(counts)
    assert Message.objects.filter(role="assistant", text="word " * 6).count() == sum(counts)


def test_an_old_token_writes_nothing(site: Site, settings: object) -> None:
    """Fencing: a process that was thought dead comes back."""
    settings.SCENARIOS = [PLAIN]  # type: ignore[attr-defined]
    person = make_person(site)
    conversation = turns.open_conversation(
        principal=person.principal, site=site, scenario="plain", locale="en", client_id=uuid.uuid4()
    )
    turn = turns.start(
        conversation=conversation, principal=person.principal, text="Why?", client_id=uuid.uuid4()
    )
    old = loading.load(turn.pk, turn.fencing_token)
    Turn.objects.update(lease_until="2000-01-01T00:00:00Z")
    token = leases.take_over(turn.pk, turn.fencing_token)
    assert token == 2
    new = loading.load(turn.pk, token)
    with pytest.raises(leases.LeaseLost):
        _save(old, 3, "late words", [])
    _save(new, 3, "new words", [])
    assert Message.objects.get(pk=turn.answer_id).text == "new words"
    assert new.epoch == old.epoch + 1


def test_only_one_takes_a_lapsed_turn_over(site: Site) -> None:
    person = make_person(site)
    conversation = turns.open_conversation(
        principal=person.principal, site=site, scenario="plain", locale="en", client_id=uuid.uuid4()
    )
    turn = turns.start(
        conversation=conversation, principal=person.principal, text="Why?", client_id=uuid.uuid4()
    )
    assert leases.take_over(turn.pk, 1) is None, "its lease still runs"
    Turn.objects.update(lease_until="2000-01-01T00:00:00Z")
    assert [leases.take_over(turn.pk, 1) for _ in range(3)] == [2, None, None]
