"""What a policy may say, with defaults for everything it leaves out. Refuses what it does not know."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

Kind = Literal["EMAIL", "PHONE", "CARD", "IBAN", "ID", "KEY"]
InputAction = Literal["block", "flag", "off"]
_HOST = re.compile(r"(?:\*\.)?[a-z0-9-]{1,63}(?:\.[a-z0-9-]{1,63}){0,8}")


class RulesInvalid(ValueError):
    """The rules of a policy break its schema; the message names each field, its value and the remedy."""


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Term(_Part):
    """Words of the operator's own that may not be asked about, or not be said."""

    words: str = Field(min_length=2, max_length=200)
    stage: Literal["input", "output", "both"] = "both"
    action: Literal["block", "flag"] = "block"


class Rules(_Part):
    """The rules of one policy.

    personal_data        kinds replaced by placeholders in what people write
    personal_data_output what is done when an answer holds personal data that neither its reader nor
                         its sources gave
    injection … insult   what is done with a message that meets such a rule; self-harm is answered with help
    prompt_leak, harm    what is done with an answer that repeats its instructions or threatens, hates
    foreign_links        what is done with a link or image to a host that is not allowed
    allowed_hosts        "docs.example.com", or "*.example.com" for all below it
    terms                the operator's own words
    replies              by language, then by check: what is shown in place of an answer
    """

    personal_data: tuple[Kind, ...] = ("EMAIL", "PHONE", "CARD", "IBAN", "ID", "KEY")
    personal_data_output: Literal["retract", "flag", "off"] = "retract"
    injection: InputAction = "block"
    self_harm: Literal["help", "flag", "off"] = "help"
    threat: InputAction = "block"
    hate: InputAction = "block"
    # Angry people still have a question: an insult alone does not cost them the answer.
    insult: InputAction = "flag"
    prompt_leak: Literal["retract", "flag", "off"] = "retract"
    harm: Literal["retract", "flag", "off"] = "retract"
    foreign_links: Literal["retract", "flag", "off"] = "retract"
    allowed_hosts: tuple[str, ...] = ()
    terms: tuple[Term, ...] = Field(default=(), max_length=500)
    replies: dict[str, dict[str, str]] = Field(default_factory=dict)

    @field_validator("allowed_hosts")
    @classmethod
    def _hosts(cls, hosts: tuple[str, ...]) -> tuple[str, ...]:
        for host in hosts:
            if not _HOST.fullmatch(host.lower()):
                raise ValueError(f'{host!r} is not a host name: write "docs.example.com", without https://')
        return tuple(host.lower() for host in hosts)

    def __hash__(self) -> int:
        return id(self)


def parse(value: Any) -> Rules:
    """The rules in a policy's JSON. Raises RulesInvalid with one line for each fault."""
    if not isinstance(value, dict):
        raise RulesInvalid(
            f"rules must be an object, not {type(value).__name__}: write {{}} for the defaults."
        )
    try:
        return Rules.model_validate(value)
    except ValidationError as error:
        faults = [_fault(fault) for fault in error.errors(include_url=False)]
        raise RulesInvalid("\n".join(faults)) from None


def _fault(fault: Any) -> str:
    field = ".".join(str(part) for part in fault["loc"])
    if fault["type"] == "extra_forbidden":
        return f"{field}: no such rule. Known: {', '.join(Rules.model_fields)}."
    return f"{field} = {str(fault['input'])[:80]!r}: {fault['msg']}."


@lru_cache(maxsize=1)
def default_rules() -> Rules:
    return Rules()
