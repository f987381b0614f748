"""A scenario that passes the question on as it is: for claims about the web, whatever is being answered."""

from __future__ import annotations

from typing import Any

from assistant.conversations.scenarios import Prepared, TurnContext
from assistant.widget.models import Site


class Plain:
    name = "plain"
    prompt_version = "1"

    def knowledge_epoch(self, site: Site) -> int:
        return 1

    async def prepare(self, turn: TurnContext) -> Prepared:
        messages = [*turn.history, {"role": "user", "content": turn.question}]
        return Prepared(messages=messages, max_tokens=4000, is_shareable=turn.is_first_turn)

    def starters(self, site: Site, locale: str) -> list[str]:
        return ["What is Parley?"]

    def hand_over(self, *, conversation_id: str, email: str, client_id: str) -> dict[str, Any]:
        if "@" not in email:
            raise ValueError("Write an e-mail address.")
        return {"ticket": 1}
