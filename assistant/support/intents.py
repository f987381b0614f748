"""What is no question to the documentation: greetings, thanks, small talk, and questions about the assistant.

Whole messages only: "Hi, how do I reset my password?" is a question. Answered with fixed words at once,
because a small model makes things up about itself.
"""

from __future__ import annotations

import re

FILLER = r"(?:\s*(?:there|all|everyone|again|assistant|bot|team|friend|you|your|so|very|much|a lot|please))*"
END = r"[\s!.,?~！。，？…:)]*$"
PEOPLE = r"(?:human|person|agent|someone|somebody|staff|operator|support)"

# Alternatives of a whole message, by the name of the reply.
PATTERNS: dict[str, list[str]] = {
    "greeting": [
        rf"(?:hi|hello|hey|hiya|good (?:morning|afternoon|evening|day)|greetings|howdy|yo){FILLER}",
        r"(?:你好|您好|嗨|哈喽|早上好|下午好|晚上好|大家好|在吗)(?:啊|呀|吗)?",
    ],
    "thanks": [
        rf"(?:ok(?:ay)?[,. ]*)?(?:many |great[,. ]*)?(?:thanks|thank you|thx|cheers|ty){FILLER}"
        r"(?: for (?:your|the) help)?",
        r"(?:好的?[,，]?)?(?:非常|多)?(?:谢谢|感谢|谢啦|多谢)(?:你的帮助|您的帮助|你|您|了|啦)*",
    ],
    "goodbye": [rf"(?:bye|goodbye|good ?night|see you|see ya|bye bye){FILLER}", r"(?:再见|拜拜|晚安)"],
    "well": [
        r"(?:how are you|how(?:'s| is) it going|what'?s up|how do you do)(?: doing| today)*",
        r"(?:你|您)(?:最近)?(?:好吗|怎么样|还好吗)",
    ],
    "about": [
        r"(?:who|what) (?:are|r) (?:you|u)(?: exactly)?",
        r"what can (?:you|u) (?:do|help)(?: (?:me )?with)?(?: for me)?",
        r"(?:are|r) (?:you|u) (?:a |an )?(?:real |actual )*(?:human|robot|bot|ai|person|machine)(?: or .*)?",
        r"(?:what(?:'s| is) your name|how do you work|who (?:made|built|created) you|which model are you)",
        r"what (?:kind of )?(?:questions|things) can i ask(?: you)?",
        r"(?:你|您)(?:是谁|叫什么(?:名字)?|(?:能|会|可以)做什么|能帮我做什么)",
        r"(?:你|您)是(?:真人吗|机器人吗|人工智能吗|什么)",
    ],
    "person": [
        r"(?:(?:can|could|may) i |i (?:want|need|would like|'?d like) to |let me |please )*"
        rf"(?:speak|talk|chat|connect)(?: me)? (?:to|with) (?:a |an |some|the )*(?:real |live )*{PEOPLE}",
        r"(?:human|agent|operator|real person)(?: please)?",
        r"(?:我要|我想|请|帮我)?(?:转|找|联系|接)(?:一下)?(?:人工客服|人工|客服|真人)",
        r"(?:人工客服|人工|真人客服)",
    ],
}
COMPILED = {
    name: re.compile(rf"^\s*(?:{'|'.join(patterns)}){END}", re.IGNORECASE)
    for name, patterns in PATTERNS.items()
}


def small_talk(text: str) -> str | None:
    """The name of the fixed reply that fits the whole message, or None."""
    if not re.search(r"\w", text):
        return "unclear"
    return next((name for name, pattern in COMPILED.items() if pattern.match(text)), None)
