"""The trail of verdicts: one row for each finding, with its reason and never the private text."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import TYPE_CHECKING
from uuid import UUID

from prometheus_client import Counter

from assistant.safety.findings import Finding
from assistant.safety.models import Verdict
from assistant.safety.placeholders import redact

if TYPE_CHECKING:
    from assistant.widget.models import Site

log = logging.getLogger(__name__)
VERDICTS = Counter("parley_verdicts", "Verdicts of the safety checks", ["stage", "check", "action"])


def record(
    findings: Iterable[Finding],
    *,
    site: Site | None,
    conversation_id: UUID | str | None,
    message_id: UUID | str | None,
    policy_version: int,
) -> list[Verdict]:
    """Keep the findings. Reasons are written by checks without the text, and redacted once more here."""
    verdicts = [
        Verdict(
            site=site,
            conversation_id=conversation_id,
            message_id=message_id,
            stage=finding.stage,
            check_name=finding.check[:40],
            action=finding.action,
            reason=redact(finding.reason).text[:300],
            policy_version=policy_version,
        )
        for finding in findings
    ]
    for verdict in verdicts:
        VERDICTS.labels(verdict.stage, verdict.check_name, verdict.action).inc()
        log.info("%s %s: %s (%s)", verdict.stage, verdict.check_name, verdict.action, verdict.reason)
    return Verdict.objects.bulk_create(verdicts)
