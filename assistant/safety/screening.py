"""What may go in: one look at a message before it is stored, shown to a model, cached or logged.

Pure computation, below 5 ms for 4,000 characters. Personal data becomes placeholders whatever the verdict;
then the gravest rule decides: self-harm is answered with help, attacks and threats are turned away.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, cast

from assistant.safety import meaning, placeholders, policies
from assistant.safety.findings import Action, Finding
from assistant.safety.folding import plain_words
from assistant.safety.placeholders import StreamRestorer, restore
from assistant.safety.replies import reply
from assistant.safety.rules import Rules

if TYPE_CHECKING:
    from assistant.widget.models import Site

__all__ = ["Screening", "StreamRestorer", "judge", "restore", "screen"]

Decision = Literal["allow", "block", "help"]


@dataclass(frozen=True)
class Screening:
    """`text` is what may be stored; `private` maps its placeholders back; `reply` answers unless allowed."""

    verdict: Decision
    text: str
    private: dict[str, str] = field(default_factory=dict)
    reply: str | None = None
    findings: list[Finding] = field(default_factory=list)
    policy_version: int = 0


def screen(
    text: str, *, site: Site | None, scenario: str, locale: str, known: Mapping[str, str] | None = None
) -> Screening:
    """Screen what a person wrote. `known`: placeholders that the conversation has already (see `redact`)."""
    policy = policies.effective(site=site, scenario=scenario)
    return judge(text, policy=policy, locale=locale, known=known)


def judge(
    text: str, *, policy: policies.Effective, locale: str, known: Mapping[str, str] | None = None
) -> Screening:
    """`screen` under a policy at hand."""
    rules = policy.rules
    redacted = placeholders.redact(text, locale=locale, kinds=rules.personal_data, known=known)
    findings = [*_personal_findings(redacted.private), *_rule_findings(redacted.text, rules)]
    findings += _term_findings(redacted.text, rules)
    deciding = next((finding for finding in findings if finding.action in ("help", "block")), None)
    return Screening(
        verdict=cast(Decision, deciding.action) if deciding else "allow",
        text=redacted.text,
        private=redacted.private,
        reply=reply(deciding.check, locale=locale, rules=rules) if deciding else None,
        findings=findings,
        policy_version=policy.version,
    )


def _personal_findings(private: Mapping[str, str]) -> list[Finding]:
    counts = Counter(placeholder[1:].split("_")[0] for placeholder in private)
    return [Finding("personal_data", "redact", f"{count} × {kind}") for kind, count in sorted(counts.items())]


def _rule_findings(text: str, rules: Rules) -> list[Finding]:
    actions = {check: getattr(rules, check) for check in meaning.CHECKS}
    wanted = [check for check, action in actions.items() if action != "off"]
    return [
        Finding(rule.check, cast(Action, actions[rule.check]), rule.name)
        for rule in meaning.broken_rules(text, checks=wanted)
    ]


def _term_findings(text: str, rules: Rules) -> list[Finding]:
    terms = [term for term in rules.terms if term.stage != "output"]
    if not terms:
        return []
    plain = plain_words(text)
    return [
        Finding("term", term.action, "a term of the policy")
        for term in terms
        if plain_words(term.words) in plain
    ]
