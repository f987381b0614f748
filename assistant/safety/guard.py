"""What may come out: an answer is held back sentence by sentence and released only after its checks.

The guard sees deltas and gives events: Release(text) is safe to show; Retract voids the whole answer, on
the screen, in the database, in the cache and in the log. After a Retract it stays silent. What was released
before a violation has passed its own checks; each piece is read together with the end of what went before,
so that nothing slips through in halves.

Called by the turn; knows no database and no stream.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol, cast

from assistant.safety import meaning, personal
from assistant.safety.findings import Action, Finding
from assistant.safety.folding import plain_words
from assistant.safety.leaks import PromptLeak
from assistant.safety.links import Links
from assistant.safety.policies import Effective
from assistant.safety.replies import reply
from assistant.safety.sentences import Splitter

# How much of what was released is read again with the next piece.
MAX_TAIL = 200


@dataclass(frozen=True)
class Release:
    text: str


@dataclass(frozen=True)
class Retract:
    """`reason` names the check; `replacement` is what the reader sees instead of the answer."""

    reason: str
    replacement: str
    finding: Finding


GuardEvent = Release | Retract


class AnswerChecker(Protocol):
    """A scenario's own check of a sentence before it is released. A finding's action says what follows:
    "retract" the answer, "drop" the sentence, or "flag" it."""

    def check(self, sentence: str) -> Finding | None: ...


class StreamGuard:
    """Checks one answer while it streams.

    policy           the rules that hold (policies.effective)
    allowed_private  personal data the reader gave; what `sources` hold is allowed as well
    checker          the scenario's own check
    locale           the language of the replacement text
    instructions     the text of the prompt that must not be repeated
    sources          passages the answer may quote: their addresses, links and numbers are public
    allowed_hosts    hosts links may lead to, besides the policy's and those of `sources`
    """

    def __init__(
        self,
        policy: Effective,
        *,
        allowed_private: Collection[str] = (),
        checker: AnswerChecker | None = None,
        locale: str = "en",
        instructions: str = "",
        sources: Iterable[str] = (),
        allowed_hosts: Collection[str] = (),
    ) -> None:
        self._rules = policy.rules
        self._locale = locale
        self._checker = checker
        source_texts = list(sources)
        self._allowed_private = {personal.canonical(value) for value in allowed_private}
        self._allowed_private |= personal.values_in(source_texts, locale=locale)
        self._links = Links([*policy.rules.allowed_hosts, *allowed_hosts], source_texts)
        self._leak = PromptLeak(instructions, source_texts)
        self._splitter = Splitter()
        self._tail = ""
        self.findings: list[Finding] = []
        self.is_retracted = False

    def feed(self, delta: str) -> list[GuardEvent]:
        return self._judge(self._splitter.feed(delta))

    def finish(self) -> list[GuardEvent]:
        return self._judge(self._splitter.finish())

    def quote(self, text: str) -> list[GuardEvent]:
        """Judge what code quotes from the sources: links, pictures, personal data, the policy's terms. What
        it says is the source's own, so neither the scenario's checker nor the rules about meaning apply."""
        return self._judge([*self._splitter.feed(text), *self._splitter.finish()], is_quoted=True)

    def _judge(self, pieces: list[str], *, is_quoted: bool = False) -> list[GuardEvent]:
        events: list[GuardEvent] = []
        for piece in pieces:
            if self.is_retracted:
                break
            if self._is_needless(piece):
                continue
            findings = list(self._check_source(piece))
            findings += [] if is_quoted else self._check_speech(piece)
            self.findings += findings
            violation = next((finding for finding in findings if finding.action == "retract"), None)
            if violation:
                self.is_retracted = True
                events.append(self._retract(violation))
            elif not any(finding.action == "drop" for finding in findings):
                self._tail = _end_of(self._tail + piece)
                events.append(Release(piece))
        return events

    def _is_needless(self, piece: str) -> bool:
        """Where lines were dropped, the empty lines between them would pile up."""
        return not piece.strip() and self._tail.endswith("\n\n") and not self._splitter.is_in_code

    def _retract(self, finding: Finding) -> Retract:
        text = finding.reply or reply("retracted", locale=self._locale, rules=self._rules)
        return Retract(finding.check, text, finding)

    def _check_source(self, piece: str) -> Iterator[Finding]:
        rules, seen = self._rules, self._tail + piece
        if rules.foreign_links != "off" and (host := self._links.foreign_host(seen)):
            yield _found("foreign_link", rules.foreign_links, f"a link to {host}")
        if rules.personal_data_output != "off":
            yield from self._private_findings(seen)
        yield from self._term_findings(piece)

    def _check_speech(self, piece: str) -> Iterator[Finding]:
        rules = self._rules
        if rules.harm != "off":
            for rule in meaning.broken_rules(piece, checks=meaning.OUTPUT_CHECKS):
                yield _found(rule.check, rules.harm, rule.name)
        if rules.prompt_leak != "off" and self._leak.is_in(piece):
            yield _found("prompt_leak", rules.prompt_leak, "repeats its instructions")
        if self._checker and not self._splitter.is_in_code and (own := self._checker.check(piece)):
            yield own

    def _private_findings(self, seen: str) -> Iterator[Finding]:
        for span in personal.find(seen, locale=self._locale):
            is_new = span.end > len(self._tail)
            if is_new and personal.canonical(span.value) not in self._allowed_private:
                yield _found(
                    "personal_data", self._rules.personal_data_output, f"{span.kind} of somebody else"
                )

    def _term_findings(self, piece: str) -> Iterator[Finding]:
        terms = [term for term in self._rules.terms if term.stage != "input"]
        plain = plain_words(piece) if terms else ""
        for term in terms:
            if plain_words(term.words) in plain:
                yield _found("term", "retract" if term.action == "block" else "flag", "a term of the policy")


def _end_of(text: str) -> str:
    """The last words of a text: cut at a space, or half an address would look like another one."""
    if len(text) <= MAX_TAIL:
        return text
    end = text[-MAX_TAIL:]
    return end[len(end) - len(end.lstrip()) :] if text[-MAX_TAIL - 1].isspace() else end.partition(" ")[2]


def _found(check: str, action: str, reason: str) -> Finding:
    return Finding(check, cast(Action, action), reason, stage="output")
