"""What a scenario is: one class, named in settings.SCENARIOS, that turns a question into a prompt.

A scenario sees a TurnContext and returns a Prepared; it never sees sockets, events or the turn's rows.
The pipeline does the rest. The prompt and knowledge versions are asked before `prepare`, because they
are part of the cache key that decides whether `prepare` is needed at all.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Protocol

from django.conf import settings
from django.utils.module_loading import import_string

if TYPE_CHECKING:
    from assistant.safety.findings import Finding
    from assistant.safety.policies import Effective
    from assistant.widget.models import Site


class UnknownScenario(Exception):
    """No class in settings.SCENARIOS has this name."""


@dataclass(frozen=True)
class TurnContext:
    """One question as a scenario may see it: redacted, with the branch that led to it, oldest first."""

    site: Site
    conversation_id: str
    principal_key: str
    locale: str
    question: str
    history: list[dict[str, str]]
    is_first_turn: bool
    policy: Effective


@dataclass(frozen=True)
class Citation:
    number: int
    title: str
    url: str
    path: str = ""
    anchor: str = ""
    quote: str = ""
    passage_id: int | None = None


class AnswerChecker(Protocol):
    def check(self, sentence: str) -> Finding | None:
        """What is wrong with a sentence that is about to be shown; None when nothing is."""


@dataclass(frozen=True)
class Prepared:
    """What the model is asked, and what is known of the answer before it speaks.

    messages    the prompt; empty when the lead is the whole answer and no model is called
    lead        text released before the model's own, e.g. the quotation with its citation
    refusal     the whole answer; no model is called and the outcome is "refused"
    is_shareable    no personal data, history or tool shaped it: another person may get the same answer
    continue_final_message    the last message is the assistant's, to be continued
    instructions    the words of the prompt that an answer must not repeat
    sources     the passages the answer may quote; what they hold may be said
    """

    messages: list[dict[str, str]]
    max_tokens: int = 512
    temperature: float = 0.0
    lead: str = ""
    citations: list[Citation] = field(default_factory=list)
    refusal: str | None = None
    is_shareable: bool = False
    prompt_version: str = ""
    knowledge_epoch: int = 0
    checker: AnswerChecker | None = None
    continue_final_message: bool = False
    stop: tuple[str, ...] = ()
    instructions: str = ""
    sources: tuple[str, ...] = ()
    debug: dict[str, Any] = field(default_factory=dict)


class Scenario(Protocol):
    """`name` is what Site.scenario and Conversation.scenario hold; `prompt_version` changes with the
    words of its prompt."""

    name: str
    prompt_version: str

    def knowledge_epoch(self, site: Site) -> int:
        """Grows with every change of what the answers rest on. Touches the database."""

    async def prepare(self, turn: TurnContext) -> Prepared: ...

    def starters(self, site: Site, locale: str) -> list[str]:
        """Questions offered to somebody who has asked nothing yet."""

    def hand_over(self, *, conversation_id: str, email: str, client_id: str) -> dict[str, Any]:
        """Ask a person to help; once for each client id. Returns what the client is shown."""


@lru_cache(maxsize=1)
def _registry(paths: tuple[str, ...]) -> dict[str, Scenario]:
    scenarios = [import_string(path)() for path in paths]
    return {scenario.name: scenario for scenario in scenarios}


def get(name: str) -> Scenario:
    """The scenario of this name. Raises UnknownScenario."""
    known = _registry(tuple(settings.SCENARIOS))
    if name not in known:
        raise UnknownScenario(f"There is no scenario {name[:40]!r}. Known: {', '.join(sorted(known))}.")
    return known[name]
