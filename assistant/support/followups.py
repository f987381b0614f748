"""A follow-up becomes a question that stands on its own, by code: no model call before the first word.

"And how do I undo that?" says nothing to a search index; what it is about stands in the questions before.
"""

from __future__ import annotations

import re

from assistant.knowledge.queries import key_terms, translate
from assistant.knowledge.terms import CJK_RUN, words

POINTING = re.compile(
    r"\b(it|its|that|this|these|those|they|them|there|then|the same|instead|else|one|ones|both"
    r"|the (?:first|second|last|other))\b|它|这个|这样|那个|那样|这些|那些|上面|前面|刚才|其中|同样",
    re.IGNORECASE,
)
OPENING = re.compile(
    r"^\s*(and|but|or|so|also|then|what about|how about|what if|why|why not|which one|where|when|more"
    r"|for example|really|ok|okay|is there|can i also)\b"
    r"|^\s*(那|那么|还有|另外|如果|但是|可是|为什么|比如|然后)|呢\s*[?？]?\s*$",
    re.IGNORECASE,
)
MAX_BACK = 3


def is_follow_up(question: str) -> bool:
    """It points back, or says too little to stand alone."""
    terms = key_terms(words(CJK_RUN.sub(" ", question)))
    meanings = [meaning for run in CJK_RUN.findall(question) for meaning in translate(run)]
    num_terms = len(terms) + len(meanings)
    if num_terms <= 1:
        return True
    return num_terms <= 5 and bool(POINTING.search(question) or OPENING.search(question))


def standalone(question: str, history: list[dict[str, str]]) -> str:
    """The question with what it is about, for retrieval; unchanged when it stands alone."""
    asked = [message["content"] for message in history if message["role"] == "user"][-MAX_BACK:]
    if not asked or not is_follow_up(question):
        return question
    context: list[str] = []
    for earlier in reversed(asked):
        context.insert(0, earlier)
        if not is_follow_up(earlier):
            break
    return " ".join([*context, question])
