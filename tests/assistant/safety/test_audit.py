from __future__ import annotations

import uuid

import pytest

from assistant.safety import audit
from assistant.safety.findings import Finding
from assistant.safety.models import Verdict
from tests.support.people import make_site

pytestmark = pytest.mark.django_db


def test_every_finding_becomes_a_row_with_its_reason() -> None:
    site, conversation, message = make_site(), uuid.uuid4(), uuid.uuid4()
    findings = [
        Finding("injection", "block", "overrides the instructions"),
        Finding("foreign_link", "retract", "a link to evil.com", stage="output"),
    ]
    audit.record(findings, site=site, conversation_id=conversation, message_id=message, policy_version=4)
    rows = Verdict.objects.order_by("stage").values_list(
        "stage", "check_name", "action", "reason", "policy_version", "message_id"
    )
    assert list(rows) == [
        ("input", "injection", "block", "overrides the instructions", 4, message),
        ("output", "foreign_link", "retract", "a link to evil.com", 4, message),
    ]


def test_a_careless_reason_is_redacted_and_cut() -> None:
    careless = Finding("custom", "flag", "he wrote a@b.example " + "x" * 400)
    [verdict] = audit.record([careless], site=None, conversation_id=None, message_id=None, policy_version=0)
    assert verdict.reason.startswith("he wrote [EMAIL_1] x")
    assert len(verdict.reason) == 300
