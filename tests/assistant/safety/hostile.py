"""Texts made to be slow to read: 4,000 characters each, against every repetition in the patterns."""

from __future__ import annotations

_SEEDS = {
    "at signs": "a@",
    "dotted then at": "a.",
    "digits": "1",
    "spaced digits": "1 ",
    "dashed digits": "1-",
    "brackets": "(1) ",
    "half tokens": "eyJ",
    "token parts": "eyJaaaaaaaa.",
    "key prefixes": "sk-",
    "open key blocks": "-----BEGIN PRIVATE KEY-----",
    "iban starts": "DE89 ",
    "ibans": "GB82WEST12345698765432",
    "phones": "415-555-2671 ",
    "national ids": "536-90-4399 ",
    "hinted ids": "nhs ssn sin tfn bsn tax 123 456 7890 ",
    "passwords": "password is ",
    "spaced letters": "a b c ",
    "lookalikes": "аео​",
    "combining": "e̶",
    "override words": "ignore all previous the your ",
    "reveal words": "reveal the all of your system ",
    "repeat words": "repeat all everything the words text of ",
    "pretend words": "pretend you are act as become dan ",
    "despair words": "kill i will kill i am suicid i don't want to ",
    "chinese words": "忽略之前我想死活着",
    "urls": "https://",
    "images": "![a](",
    "slashes": "//",
    "spaces": " ",
    "newlines": "\n",
    "fences": "```",
    "stops": ". ",
}
HOSTILE = {name: (seed * 4000)[:4000] for name, seed in _SEEDS.items()}
HOSTILE["many phones"] = " ".join(f"415-555-{number:04}" for number in range(300))[:4000]
HOSTILE["many cards"] = " ".join(f"4111 1111 1111 {number:04}" for number in range(200))[:4000]
