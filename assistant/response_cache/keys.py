"""What makes two questions the same question: its words, and everything else that shaped the answer."""

from __future__ import annotations

import hashlib
import json
import re
import unicodedata
from dataclasses import asdict, dataclass, field
from typing import Any

from assistant.safety.placeholders import PLACEHOLDER

# Raised when entries made by older code must not be read: a change of what is stored or how it is cleared.
FORMAT = 1
_SPACES = re.compile(r"\s+")
_TRAILING = " .!?。！？…~～、，,;；:："


@dataclass(frozen=True)
class Question:
    """A redacted question with its circumstances.

    user_scope      "" for answers anybody may get; else the key of the one principal who may
    is_first_turn   nothing was said before
    branch          for later turns: a fingerprint of what was said before (see `branch_of`)
    """

    site_id: int
    scenario: str
    locale: str
    text: str
    model: str
    prompt_version: str
    knowledge_epoch: int
    policy_version: int
    quantization: str = ""
    sampling: dict[str, Any] = field(default_factory=dict)
    user_scope: str = ""
    is_first_turn: bool = True
    branch: str = ""

    @property
    def is_personal(self) -> bool:
        """A placeholder stands in the text: somebody's data shaped the question."""
        return PLACEHOLDER.search(self.text) is not None

    @property
    def is_cacheable(self) -> bool:
        """Without a scope only a first, impersonal question; a later turn only with its branch."""
        if self.user_scope:
            return self.is_first_turn or bool(self.branch)
        return self.is_first_turn and not self.is_personal


def normalise(text: str) -> str:
    """One form for spellings that mean the same: Unicode form, case, white space, the final mark.

    Nothing that carries meaning goes: "enable 2FA" and "disable 2FA" stay two questions.
    """
    folded = unicodedata.normalize("NFKC", text).casefold()
    return _SPACES.sub(" ", folded).strip().rstrip(_TRAILING)


def fingerprint(question: Question) -> dict[str, Any]:
    """All that must agree before an answer is given again."""
    return asdict(question) | {"text": normalise(question.text), "format": FORMAT}


def cache_key(question: Question) -> str:
    text = json.dumps(fingerprint(question), sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


def branch_of(history: list[dict[str, str]]) -> str:
    """A fingerprint of the messages before a question."""
    return hashlib.sha256(json.dumps(history, ensure_ascii=False).encode()).hexdigest() if history else ""
