"""What the model is told. The head is the same for every question of every site, so it is computed once
and found again in the prefix cache; everything that varies comes after it.

A 0.5B model follows one short instruction better than a page of rules. It is told which words were quoted
to the reader and asked for no more than a sentence or two on them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

from assistant.knowledge.search import Hit

SYSTEM = (
    "You help readers of a manual. You get passages of the manual and a question. Answer the question in "
    "one or two short, plain sentences. Say only what the passages say. Use the names of settings, commands "
    "and functions exactly as they stand there. Write no code blocks and no lists. If the question assumes "
    "something that the passages contradict, say that first."
)
LANGUAGES = {
    "en": "Answer in English.",
    "zh-hans": "请用中文回答。",
}
MAX_PASSAGE_CHARACTERS = 1100


def messages(
    *, question: str, hits: Sequence[Hit], quoted: str, language: str, history: Sequence[dict[str, str]]
) -> list[dict[str, str]]:
    """`history`: the last question, when this one follows it up."""
    passages = "\n\n".join(
        f"[{number}] {hit.passage.headings}\n{hit.passage.text[:MAX_PASSAGE_CHARACTERS]}"
        for number, hit in enumerate(hits, 1)
    )
    before = "".join(f"Asked before: {message['content'][:200]}\n" for message in history)
    content = (
        f"Passages:\n{passages}\n\nThe most important words are: {quoted[:400]}\n\n"
        f"{before}Question: {question}\n{LANGUAGES[language]}"
    )
    return [{"role": "system", "content": SYSTEM}, {"role": "user", "content": content}]


# Part of every cache key: other words here, other answers.
VERSION = hashlib.sha256(
    Path(__file__).read_bytes() + Path(__file__).with_name("replies.toml").read_bytes()
).hexdigest()[:12]
