"""A Chinese question in English, for retrieval only: most manuals and the embedding model are English.

One short greedy call, kept for a day: the same question is asked again. The glossary's words are searched
beside it, so a poor translation costs little; without the engine they are searched alone.
"""

from __future__ import annotations

import hashlib
import logging
import re

from django.core.cache import cache

from assistant.conversations.engine import get_engine
from assistant.knowledge.terms import CJK_RUN
from inference.serving.client import ChatRequest, EngineError, Token

log = logging.getLogger(__name__)

KEEP_S = 86_400
MAX_TOKENS = 40
MAX_CHARACTERS = 300
# Examples keep a small model from answering the question instead of translating it.
PROMPT = [
    {"role": "system", "content": "Translate each question about software into an English question."},
    {"role": "user", "content": "怎么重置密码？"},
    {"role": "assistant", "content": "How do I reset the password?"},
    {"role": "user", "content": "你们公司有多少员工？"},
    {"role": "assistant", "content": "How many employees does your company have?"},
    {"role": "user", "content": "日志文件默认放在哪里，可以关闭吗？"},
    {"role": "assistant", "content": "Where is the log file by default, and can it be disabled?"},
]


async def to_english(question: str) -> str:
    """Empty when the question is not Chinese, or the engine does not help."""
    if not CJK_RUN.search(question):
        return ""
    key = "question-in-english:" + hashlib.sha256(question.encode()).hexdigest()
    known = await cache.aget(key)
    if isinstance(known, str):
        return known
    try:
        text = faithful(await ask(question), question)
    except EngineError as error:
        log.warning("a question was not translated: %s", error)
        return ""
    await cache.aset(key, text, KEEP_S)
    return text


async def ask(question: str) -> str:
    messages = [*PROMPT, {"role": "user", "content": question[:MAX_CHARACTERS]}]
    request = ChatRequest(
        messages=messages, max_tokens=MAX_TOKENS, temperature=0.0, stop=("\n",), salt="questions"
    )
    return "".join([piece.text async for piece in get_engine().chat(request) if isinstance(piece, Token)])


def faithful(text: str, question: str) -> str:
    """Without the numbers that nobody asked about, and without what was left in Chinese."""
    text = re.sub(
        r"\d+(?:[-.,:]\d+)*", lambda number: number.group() if number.group() in question else " ", text
    )
    return " ".join(CJK_RUN.sub(" ", text).split())
