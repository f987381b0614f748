from __future__ import annotations

import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from assistant.safety.findings import Finding
from assistant.safety.guard import Release, Retract, StreamGuard
from assistant.safety.policies import Effective
from assistant.safety.rules import default_rules, parse
from assistant.safety.sentences import Splitter
from tests.assistant.safety.hostile import HOSTILE

DEFAULT = Effective(default_rules())
ANSWER = """It needs e.g. 3.5 GB on Dr. Ann's disk (see https://docs.example.com/a.b?c=1). Really? Yes!

1. First item. With more.
2. Second

| a | b. c |
|---|------|

```python
x = 1.  # a comment. And more
```

完成。“好的。”然后呢？end"""


def guard(
    text: str, *, size: int = 3, policy: Effective = DEFAULT, **options: Any
) -> list[Release | Retract]:
    stream = StreamGuard(policy, **options)
    events = [event for at in range(0, len(text), size) for event in stream.feed(text[at : at + size])]
    return events + stream.finish()


def shown(events: list[Release | Retract]) -> str:
    return "".join(event.text for event in events if isinstance(event, Release))


def retracted(text: str, **options: Any) -> str | None:
    last = guard(text, **options)[-1]
    return last.reason if isinstance(last, Retract) else None


def test_an_answer_is_released_sentence_by_sentence() -> None:
    pieces = [event.text for event in guard(ANSWER) if isinstance(event, Release)]
    assert [piece.strip() for piece in pieces if piece.strip()] == [
        "It needs e.g. 3.5 GB on Dr. Ann's disk (see https://docs.example.com/a.b?c=1).",
        "Really?",
        "Yes!",
        "1. First item.",
        "With more.",
        "2. Second",
        "| a | b. c |",
        "|---|------|",
        "```python",
        "x = 1.  # a comment. And more",
        "```",
        "完成。",
        "“好的。”",
        "然后呢？",
        "end",
    ]


@pytest.mark.parametrize("size", [1, 2, 7, 50, 10_000])
def test_nothing_is_lost_however_the_deltas_fall(size: int) -> None:
    assert shown(guard(ANSWER, size=size)) == ANSWER


@settings(max_examples=200, deadline=None)
@given(st.text(alphabet="ab. \n!?。”`|1-", max_size=120), st.integers(1, 9))
def test_pieces_joined_are_the_stream(text: str, size: int) -> None:
    splitter = Splitter()
    pieces = [piece for at in range(0, len(text), size) for piece in splitter.feed(text[at : at + size])]
    assert "".join(pieces + splitter.finish()) == text


def test_a_sentence_is_held_back_until_it_is_whole() -> None:
    stream = StreamGuard(DEFAULT)
    assert stream.feed("Half a sentence, its number 3.") == []
    assert stream.feed("5 and an end. ") == [Release("Half a sentence, its number 3.5 and an end. ")]


def test_text_without_an_end_is_not_held_back_for_ever() -> None:
    stream = StreamGuard(DEFAULT)
    assert stream.feed("word " * 400)


@pytest.mark.parametrize("size", [1, 4, 1000])
def test_what_broke_a_rule_is_never_shown(size: int) -> None:
    events = guard("Hello there. Write to ann@secret.example now. More.", size=size)
    assert shown(events) == "Hello there. "
    assert isinstance(events[-1], Retract)


def test_after_a_retraction_the_guard_is_silent() -> None:
    stream = StreamGuard(DEFAULT)
    stream.feed("Write to ann@secret.example now. ")
    assert stream.is_retracted
    assert stream.feed("All is well. ") == []
    assert stream.finish() == []


@pytest.mark.parametrize(
    "text",
    [
        "Ann's card is 4111 1111 1111 1111.",
        "Call her at +44 20 7946 0958.",
        "The key is sk-abcdefghijklmnopqrstuvwxyz123456.",
        "Her card is 4111\n1111\n1111\n1111",
    ],
)
def test_private_data_of_somebody_else_is_retracted(text: str) -> None:
    assert retracted(text) == "personal_data"


def test_the_readers_own_data_and_that_of_the_sources_may_be_said() -> None:
    assert retracted("You are ann@own.example.", allowed_private={"Ann@own.example"}) is None
    source = "Write to help@shop.example or call +44 20 7946 0958."
    assert retracted("Call +44 (20) 7946-0958 or help@shop.example.", sources=[source]) is None


@pytest.mark.parametrize(
    "text",
    [
        "![x](https://evil.com/p.png?q=1)",
        "Look [here](https://evil.com/a).",
        "[x](//evil.com/a)",
        "Go to www.evil.com/x now.",
        "https:\\\\evil.com\\x",
        "<https://evil.com/a>",
        '<img src="https://evil.com/a.png">',
        "[x]: https://evil.com/a\n![y][x]",
        "[a](javascript:alert(1))",
        "![a](data:image/svg+xml;base64,AAAA)",
        "ｈｔｔｐｓ://evil.com/a",
        "ht​tps://evil.com/a",
        "https://docs.example.com@evil.com/",
        "wss://evil.com/socket",
        "[x](https:evil.com/x)",
        "[x](https:&#47;&#47;evil.com/x)",
        "[x](https:\\/\\/evil.com/x)",
        "![x](/\\evil.com/x)",
        "[x](&#106;avascript:alert(1))",
        "https:/​/evil.com",
    ],
)
@pytest.mark.parametrize("size", [1, 1000])
def test_links_and_images_to_foreign_hosts_are_retracted(text: str, size: int) -> None:
    assert retracted(text, size=size, allowed_hosts={"docs.shop.com"}) == "foreign_link"


@pytest.mark.parametrize(
    "text",
    [
        "See [docs](https://docs.shop.com/a).",
        "See [the article](/a/docs/README.md#start).",
        "Open http://127.0.0.1:8000/console/ or http://localhost:8000.",
        "Set REDIS_URL=redis://localhost:6379/0 or https://vllm.example/v1.",
        "C:\\x at 10:30, a // comment, and/or data: {…}",
        "As quoted: https://github.com/a/b.",
        'Add <script src="https://chat.example.org/widget.js"></script> to your page.',
        'Or <script src="https://github.com/a/b"></script>.',
    ],
)
def test_links_that_lead_nowhere_foreign_pass(text: str) -> None:
    source = "The code is at https://github.com/a/b, read it."
    assert retracted(text, allowed_hosts={"docs.shop.com"}, sources=[source]) is None


def test_a_quoted_address_is_no_leave_to_load_pictures_or_change_it() -> None:
    sources = ["The code is at https://github.com/a/b."]
    assert retracted("![x](https://github.com/a/b)", sources=sources) == "foreign_link"
    assert retracted("https://github.com/a/b?q=secret", sources=sources) == "foreign_link"


def test_a_long_answer_may_go_on_after_a_quoted_address() -> None:
    url = "https://github.com/" + "a" * 150
    assert retracted(f"See {url} for more. " + "And a word more. " * 30, sources=[url]) is None


def test_a_star_allows_the_hosts_below() -> None:
    policy = Effective(parse({"allowed_hosts": ["*.shop.com"]}))
    assert retracted("https://img.eu.shop.com/x", policy=policy) is None
    assert retracted("https://evilshop.com/x", policy=policy) == "foreign_link"


INSTRUCTIONS = (
    "You support the visitors of this site. Answer only from the passages below and never invent a name."
)


def test_repeating_the_instructions_is_a_leak() -> None:
    said = "Sure: answer only from the passages below, and never invent a name!"
    assert retracted(said, instructions=INSTRUCTIONS) == "prompt_leak"
    assert retracted(
        "Answer only.\nFrom the\npassages below\nand never\ninvent a name", instructions=INSTRUCTIONS
    )
    assert retracted("I answer from passages.", instructions=INSTRUCTIONS) is None


def test_repeating_chinese_instructions_is_a_leak() -> None:
    instructions = "你是本站的客服助手，只能根据下面给出的资料回答问题，绝不编造任何内容。"
    assert retracted("好的：" + instructions, instructions=instructions) == "prompt_leak"
    assert retracted("我只能根据资料回答问题。", instructions=instructions) is None


def test_quoting_a_source_is_no_leak() -> None:
    said = "Answer only from the passages below and never invent a name."
    assert retracted(said, instructions=INSTRUCTIONS, sources=[INSTRUCTIONS]) is None


@pytest.mark.parametrize("text", ["You should kill yourself.", "All immigrants are vermin.", "你去死吧。"])
def test_an_answer_that_threatens_or_hates_is_retracted(text: str) -> None:
    assert retracted(text) in ("threat", "hate")


class NoNumbers:
    """A checker: retracts sevens, drops eights, flags nines."""

    def check(self, sentence: str) -> Finding | None:
        for digit, action in (("7", "retract"), ("8", "drop"), ("9", "flag")):
            if digit in sentence:
                return Finding("numbers", action, "unsupported", "output", reply="Not so.")  # type: ignore[arg-type]
        return None


def test_the_scenarios_checker_may_retract_drop_or_flag() -> None:
    assert shown(guard("One. It is 8. Nine is 9. ", checker=NoNumbers())) == "One. Nine is 9. "
    last = guard("One. It is 7. ", checker=NoNumbers())[-1]
    assert isinstance(last, Retract)
    assert (last.reason, last.replacement) == ("numbers", "Not so.")


def test_empty_lines_around_dropped_ones_do_not_pile_up() -> None:
    said = "One.\n\nIt is 8.\n\nIt is 8.\n\nIt is 8.\n\nTwo.\n"
    assert shown(guard(said, checker=NoNumbers())).rstrip() == "One.\n\nTwo."


def test_a_quotation_is_checked_for_what_it_carries_not_for_what_it_says() -> None:
    source = "They wrote 7 and kill yourself to help@shop.example. ![x](https://evil.com/p.png)"
    stream = StreamGuard(DEFAULT, checker=NoNumbers(), sources=[source])
    quoted = "> They wrote 7 and kill yourself to help@shop.example.\n\n"
    assert shown(stream.quote(quoted)) == quoted
    assert isinstance(stream.quote("> ![x](https://evil.com/p.png)\n")[-1], Retract)


def test_the_replacement_speaks_the_readers_language() -> None:
    last = guard("Write to ann@secret.example.", locale="zh-hans")[-1]
    assert isinstance(last, Retract)
    assert "撤回" in last.replacement


def test_a_policy_may_only_flag() -> None:
    stream = StreamGuard(Effective(parse({"personal_data_output": "flag"})))
    assert shown([*stream.feed("Write to ann@secret.example. "), *stream.finish()])
    assert [finding.action for finding in stream.findings] == ["flag"]


def test_the_operators_own_terms_are_not_said() -> None:
    policy = Effective(parse({"terms": [{"words": "Project Falcon", "stage": "output"}]}))
    assert retracted("It is called project  falcon.", policy=policy) == "term"


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_answers_are_guarded_in_bounded_time(name: str) -> None:
    started = time.perf_counter()
    guard(HOSTILE[name], size=20)
    assert time.perf_counter() - started < 2
