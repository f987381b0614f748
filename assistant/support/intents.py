"""What is no question to the documentation: greetings, thanks, small talk, and questions about the assistant.

Whole messages only: "Hi, how do I reset my password?" is a question. Answered with fixed words at once,
because a small model makes things up about itself.
"""

from __future__ import annotations

import re

FILLER = r"(?:\s*(?:there|all|everyone|again|assistant|bot|team|friend|parley|you|your|so|very|much|a lot|please))*"
END = r"[\s!.,?~！。，？…:)]*$"

PATTERNS: dict[str, str] = {
    "greeting": rf"(?:hi|hello|hey|hiya|good (?:morning|afternoon|evening|day)|greetings|howdy|yo){FILLER}{END}"
    rf"|(?:你好|您好|嗨|哈喽|早上好|下午好|晚上好|大家好|在吗)(?:啊|呀|吗)?{END}",
    "thanks": rf"(?:ok(?:ay)?[,. ]*)?(?:many |great[,. ]*)?(?:thanks|thank you|thx|cheers|ty){FILLER}"
    rf"(?: for (?:your|the) help)?{END}|(?:好的?[,，]?)?(?:非常|多)?(?:谢谢|感谢|谢啦|多谢)(?:你|您|了|啦|你的帮助|您的帮助)*{END}",
    "goodbye": rf"(?:bye|goodbye|good ?night|see you|see ya|bye bye){FILLER}{END}|(?:再见|拜拜|晚安){END}",
    "well": rf"(?:how are you|how(?:'s| is) it going|what'?s up|how do you do)(?: doing| today)*{END}"
    rf"|(?:你|您)?(?:最近)?(?:好吗|怎么样|还好吗){END}",
    "about": r"(?:who|what) (?:are|r) (?:you|u)(?: exactly)?"
    + END
    + r"|what can (?:you|u) (?:do|help)(?: (?:me )?with)?(?: for me)?"
    + END
    + r"|(?:are|r) (?:you|u) (?:a |an )?(?:real |actual )*(?:human|robot|bot|ai|person|machine|chatgpt|computer)(?: or .*)?"
    + END
    + r"|(?:what(?:'s| is) your name|how do you work|who (?:made|built|created) you|which model are you)"
    + END
    + r"|what (?:kind of )?(?:questions|things) can i ask(?: you)?"
    + END
    + rf"|(?:你|您)(?:是谁|叫什么(?:名字)?|能做什么|会做什么|可以做什么|能帮我做什么|是真人吗|是机器人吗|是人工智能吗|是什么){END}",
    "person": r"(?:(?:can|could|may) i |i (?:want|need|would like|'?d like) to |let me |please )*(?:speak|talk|chat|connect)"
    r"(?: me)? (?:to|with) (?:a |an |some|the )*(?:real |actual |live )*(?:human|person|agent|someone|somebody|staff|operator|support)"
    + END
    + rf"|(?:human|agent|operator|real person)(?: please)?{END}"
    + rf"|(?:我要|我想|请|帮我)?(?:转|找|联系|接)(?:一下)?(?:人工|客服|人工客服|真人){END}|(?:人工|人工客服|真人客服){END}",
}
COMPILED = {name: re.compile(rf"^\s*(?:{pattern})", re.IGNORECASE) for name, pattern in PATTERNS.items()}


def small_talk(text: str) -> str | None:
    """The name of the fixed reply that fits the whole message, or None."""
    if not re.search(r"\w", text):
        return "unclear"
    return next((name for name, pattern in COMPILED.items() if pattern.match(text)), None)
