"""What a check found: which check, what is to be done, and why. Never the private text itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Stage = Literal["input", "output"]
Action = Literal["redact", "block", "help", "retract", "drop", "flag"]


@dataclass(frozen=True)
class Finding:
    """One result of one check.

    check    what found it: "personal_data", "injection", "self_harm", "support_numbers" …
    action   input: redact, block, help or flag; output: retract the answer, drop the sentence, or flag
    reason   for the audit trail, in English: the rule and its kind, without the text that met it
    reply    what is shown in place of the answer, if the check knows better than the policy
    """

    check: str
    action: Action
    reason: str
    stage: Stage = "input"
    reply: str | None = None
