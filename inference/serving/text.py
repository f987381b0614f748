"""Between text and token ids: chat templates, incremental detokenisation, stop strings.

Uses `tokenizers` and a sandboxed jinja2 directly: importing the whole of transformers takes seconds and
starting must not. Pure computation; the engine's loop calls it from its own thread.
"""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NoReturn

import jinja2
from jinja2.sandbox import ImmutableSandboxedEnvironment
from tokenizers import Tokenizer

from inference.serving.catalogue import ModelError
from inference.serving.wire import Refused

END_TOKENS = ("<|im_end|>", "<|endoftext|>", "<|eot_id|>", "<|end_of_text|>", "<end_of_turn>", "</s>")
HALF = "�"


class ChatText:
    """A prepared folder's tokenizer and chat template.

    `stop_ids` end an answer. Text of people never becomes a control token, whatever it spells.
    """

    def __init__(self, folder: Path) -> None:
        try:
            self.tokenizer: Tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
            self._config = json.loads((folder / "tokenizer_config.json").read_text(encoding="utf-8"))
            template = read_template(folder, self._config)
            self._template = sandbox().from_string(template)
        except Exception as error:  # tokenizers raises bare Exception for a bad file
            raise ModelError(
                f"{folder} has no usable tokenizer ({error}): prepare the model again."
            ) from error
        added = self.tokenizer.get_added_tokens_decoder()
        controls = [token.content for token in added.values() if len(token.content) > 1]
        self._controls = re.compile(
            "|".join(map(re.escape, sorted(controls, key=len, reverse=True))) or "(?!)"
        )
        self.stop_ids = self._find_stop_ids(folder)

    def encode_chat(self, messages: Sequence[dict[str, str]], *, continue_final: bool = False) -> list[int]:
        """The prompt's token ids. With `continue_final` the last message is left open at its end.

        Raises Refused when the model's template cannot place these messages.
        """
        mark = f"\ue000{secrets.token_hex(8)}"
        quoted: list[str] = []

        def quote(match: re.Match[str]) -> str:
            quoted.append(match.group())
            return f"{mark}:{len(quoted) - 1}\ue001"

        safe = [message | {"content": self._controls.sub(quote, message["content"])} for message in messages]
        if continue_final:
            safe[-1]["content"] += mark + "end"
        text = self._render(safe, add_generation_prompt=not continue_final)
        if continue_final:
            text = text[: text.rindex(mark + "end")]
        return self._encode_pieces(re.split(f"{mark}:(\\d+)\ue001", text), quoted)

    def encode(self, text: str) -> list[int]:
        return self.tokenizer.encode(text, add_special_tokens=False).ids

    def decode(self, token_ids: Sequence[int]) -> str:
        return self.tokenizer.decode(list(token_ids), skip_special_tokens=True)

    def stream(self, stops: Iterable[str] = ()) -> TextStream:
        return TextStream(self, tuple(stops))

    def _render(self, messages: list[dict[str, str]], *, add_generation_prompt: bool) -> str:
        names = {key: self._token_text(key) for key in ("bos_token", "eos_token", "pad_token", "unk_token")}
        try:
            return self._template.render(
                messages=messages, add_generation_prompt=add_generation_prompt, **names
            )
        except jinja2.TemplateError as error:
            raise Refused(
                f"the model's chat template refuses these messages ({error}): change their roles or order.",
                param="messages",
            ) from error

    def _encode_pieces(self, pieces: list[str], quoted: list[str]) -> list[int]:
        """Template text with control tokens, and between it what people wrote of the same spelling."""
        ids: list[int] = []
        for index, piece in enumerate(pieces):
            if index % 2 == 0:
                ids += self.encode(piece)
            else:
                spelt = quoted[int(piece)]
                ids += self.encode(spelt[0]) + self.encode(spelt[1:])
        return ids

    def _token_text(self, key: str) -> str:
        token = self._config.get(key)
        return str(token.get("content", "")) if isinstance(token, dict) else str(token or "")

    def _find_stop_ids(self, folder: Path) -> frozenset[int]:
        """The end tokens among the control tokens: another vocabulary may have "</s>" as an ordinary word."""
        names = {self._token_text("eos_token"), *END_TOKENS}
        added = self.tokenizer.get_added_tokens_decoder().items()
        ids: set[int] = {index for index, token in added if token.content in names}
        generation = folder / "generation_config.json"
        if generation.is_file():
            more = json.loads(generation.read_text(encoding="utf-8")).get("eos_token_id") or []
            ids |= set(more if isinstance(more, list) else [more])
        return frozenset(ids)


class TextStream:
    """Token ids in, text out: whole characters only, and nothing that may yet become a stop string."""

    def __init__(self, codec: ChatText, stops: tuple[str, ...]) -> None:
        self._codec = codec
        self._ids: list[int] = []
        self._start = 0  # decoding begins here, so that a token sees the one before it
        self._told = 0  # ids before this one have been turned into text
        self._stops = StopStrings(stops)

    @property
    def is_stopped(self) -> bool:
        return self._stops.is_found

    def feed(self, token_ids: Sequence[int]) -> str:
        """What can be shown now. After a stop string was found: nothing more."""
        self._ids += token_ids
        return self._stops.feed(self._advance())

    def finish(self) -> str:
        """What was held back and is text after all; half a character is dropped."""
        tail = self._decode_from(self._start).removeprefix(self._shown()).rstrip(HALF)
        return self._stops.feed(tail) + self._stops.finish()

    def _advance(self) -> str:
        shown, text = self._shown(), self._decode_from(self._start)
        if len(text) <= len(shown) or text.endswith(HALF):
            return ""
        self._start, self._told = self._told, len(self._ids)
        return text[len(shown) :]

    def _shown(self) -> str:
        return self._codec.decode(self._ids[self._start : self._told])

    def _decode_from(self, start: int) -> str:
        return self._codec.decode(self._ids[start:])


class StopStrings:
    """Passes text on up to the first stop string; holds back an end that may be the beginning of one."""

    def __init__(self, stops: tuple[str, ...]) -> None:
        self._stops = tuple(stop for stop in stops if stop)
        self._held = ""
        self.is_found = False

    def feed(self, text: str) -> str:
        if self.is_found:
            return ""
        text = self._held + text
        found = [place for place in map(text.find, self._stops) if place >= 0]
        if found:
            self.is_found, self._held = True, ""
            return text[: min(found)]
        keep = self._num_to_hold(text)
        self._held = text[len(text) - keep :]
        return text[: len(text) - keep]

    def finish(self) -> str:
        held, self._held = self._held, ""
        return held

    def _num_to_hold(self, text: str) -> int:
        longest = min(len(text), max((len(stop) for stop in self._stops), default=1) - 1)
        return next(
            (n for n in range(longest, 0, -1) if any(stop.startswith(text[-n:]) for stop in self._stops)), 0
        )


def read_template(folder: Path, config: dict[str, Any]) -> str:
    """The folder's chat template; a model without one is a base model and no assistant."""
    path = folder / "chat_template.jinja"
    template = path.read_text(encoding="utf-8") if path.is_file() else config.get("chat_template")
    if isinstance(template, list):  # several named ones
        template = next((entry["template"] for entry in template if entry.get("name") == "default"), None)
    if not isinstance(template, str):
        raise ModelError("no chat template: this is a base model, choose an instruct model")
    return template


def sandbox() -> ImmutableSandboxedEnvironment:
    """A template comes with the model: it may format text and nothing else. No clock is offered, because
    a date at the head of a prompt makes every prefix new."""

    def raise_exception(message: str) -> NoReturn:
        raise jinja2.TemplateError(message)

    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=["jinja2.ext.loopcontrols"]
    )
    environment.globals["raise_exception"] = raise_exception
    environment.filters["tojson"] = lambda value, **options: json.dumps(value, ensure_ascii=False, **options)
    return environment
