"""A scenario for the screen: whatever the scripted engine says is the answer, with two sources.

Named `support`, like the one it stands in for: what is under test is what people see of an answer, not
where it comes from. A question with "unknown" in it is one that the articles do not answer.
"""

from __future__ import annotations

from typing import Any

from assistant.conversations.scenarios import Citation, Prepared, TurnContext
from assistant.widget.models import Site

CITATIONS = [
    Citation(
        1,
        "Getting started",
        "/a/handbook/start.md",
        "start.md",
        "two-commands",
        "Two commands start everything.",
    ),
    Citation(2, "Data folder", "/a/handbook/data.md", "data.md", "", "The data folder holds the database."),
]


class Plain:
    name = "support"
    prompt_version = "plain-1"

    def knowledge_epoch(self, site: Site) -> int:
        return 1

    async def prepare(self, turn: TurnContext) -> Prepared:
        is_unknown = "unknown" in turn.question
        return Prepared(
            messages=[*turn.history, {"role": "user", "content": turn.question}],
            max_tokens=2000,
            citations=[] if is_unknown else CITATIONS,
            refusal="The articles do not say." if is_unknown else None,
            is_shareable=turn.is_first_turn,
            prompt_version=self.prompt_version,
            knowledge_epoch=1,
        )

    def starters(self, site: Site, locale: str) -> list[str]:
        return ["怎样开始？"] if locale.lower().startswith("zh") else ["How do I start?"]

    def hand_over(self, *, conversation_id: str, email: str, client_id: str) -> dict[str, Any]:
        return {"text": email}
