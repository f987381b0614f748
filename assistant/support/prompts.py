"""What the model is told. The head is the same for every question of every site, so it is computed once
and found again in the prefix cache; everything that varies comes after it.

A 0.5B model follows one short instruction and an example of the form better than a page of rules. It is
given the quotation that the reader already sees and asked for no more than to explain it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

from assistant.knowledge.search import Hit

SYSTEM = (
    "You help readers of a manual. You get passages of the manual, a question, and the quotation that the reader "
    "already sees. Explain in one to three short sentences what this means for the question. Say only what the "
    "passages say. Use the names of settings, commands and functions exactly as they stand there. Do not repeat the "
    "quotation. Do not write code blocks. If the question assumes something that the passages contradict, say so first."
)
LANGUAGES = {
    "en": "Answer in English.",
    "zh-hans": "请用简体中文回答，设置、命令和函数的名称保持原文。",
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
        f"Passages:\n{passages}\n\n{before}Question: {question}\n\nThe reader already sees: {quoted[:600]}\n\n"
        f"{LANGUAGES[language]}"
    )
    return [{"role": "system", "content": SYSTEM}, {"role": "user", "content": content}]


# Part of every cache key: other words here, other answers.
VERSION = hashlib.sha256(
    Path(__file__).read_bytes() + Path(__file__).with_name("replies.toml").read_bytes()
).hexdigest()[:12]
