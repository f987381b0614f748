"""Support: questions answered from a site's collections, with the sentence that answers them in front.

Retrieval, the quotation and whether there is an answer at all are decided by code and measurement, in
well under a second and before the model is asked; the model only explains. What is no question gets fixed
words at once, what has no answer gets an honest refusal and the offer of a person.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote as url_quote

import numpy as np
from django.urls import reverse

from assistant.conversations.database import in_database
from assistant.conversations.engine import get_embedder
from assistant.conversations.scenarios import Citation, Prepared, TurnContext
from assistant.knowledge import search, services, vectors
from assistant.knowledge.models import Collection
from assistant.knowledge.passages import plain
from assistant.knowledge.queries import Query, understand
from assistant.knowledge.search import Found, Hit
from assistant.support import answerability, followups, intents, prompts, quotation, tickets
from assistant.support.checker import SupportChecker
from assistant.support.quotation import Quote, Remembered, Scored, Unit
from assistant.support.replies import language_of, reply
from assistant.support.translation import to_english
from assistant.widget.models import Site

NUM_QUOTED = 4
NUM_PROMPTED = 4
# Characters of the first, second and third quotation. The further ones come from other passages, when they
# are nearly as good: they often hold the other half of the answer.
QUOTE_BUDGETS = (600, 400, 250)
FURTHER_WITHIN = 0.5
MAX_ANSWER_TOKENS = 120

_remembered = Remembered()


@dataclass(frozen=True)
class Evidence:
    """What was found for a question: hits, the units of the best ones, scored, and what was measured."""

    found: Found
    units: list[Unit]
    ranked: list[Scored]
    features: dict[str, float]

    @property
    def probability(self) -> float:
        return answerability.probability(self.features, answerability.model())

    @property
    def is_enough(self) -> bool:
        return bool(self.ranked) and self.probability >= answerability.model().threshold


class Support:
    name = "support"
    prompt_version = prompts.VERSION

    def knowledge_epoch(self, site: Site) -> int:
        return services.epoch(site)

    def starters(self, site: Site, locale: str) -> list[str]:
        by_language = site.starters or {}
        return list(
            by_language.get(locale) or by_language.get(locale.split("-")[0]) or by_language.get("en") or []
        )[:4]

    def hand_over(self, *, conversation_id: str, email: str, client_id: str) -> dict[str, Any]:
        ticket = tickets.create(conversation_id=conversation_id, email=email, client_id=client_id)
        return {"ticket": ticket.number}

    async def prepare(self, turn: TurnContext) -> Prepared:
        language = language_of(turn.question, locale=turn.locale)
        if name := intents.small_talk(turn.question):
            return say(reply(name, language=language, site=turn.site.name), turn)
        question = followups.standalone(turn.question, turn.history)
        collections = await in_database(services.collections_of, turn.site)
        evidence = await gather(question, collections)
        debug = {
            "question": question,
            "probability": round(evidence.probability, 3),
            "features": evidence.features,
        }
        if not evidence.is_enough:
            refusal = reply("refusal", language=language, site=turn.site.name)
            return Prepared(
                [],
                refusal=refusal,
                is_shareable=turn.is_first_turn,
                prompt_version=prompts.VERSION,
                debug=debug,
            )
        return answer(turn, question, evidence, language, debug)


def say(text: str, turn: TurnContext) -> Prepared:
    """Fixed words, no model: an empty prompt means that the lead is the answer."""
    return Prepared([], lead=text, is_shareable=turn.is_first_turn, prompt_version=prompts.VERSION)


def answer(
    turn: TurnContext, question: str, evidence: Evidence, language: str, debug: dict[str, Any]
) -> Prepared:
    quotes = choose_quotes(evidence)
    hits = order_hits(evidence.found.hits, quotes)
    citations = [cite(number, hit, quotes) for number, hit in enumerate(hits, 1)]
    lead = write_lead(quotes, hits, citations, language)
    quoted = "\n".join(f"{title_of(hits[number])}\n{quote.text}" for number, quote in enumerate(quotes))
    sources = tuple(f"{hit.passage.headings}\n{hit.passage.text}" for hit in hits)
    history = (
        [message for message in turn.history if message["role"] == "user"][-1:]
        if question != turn.question
        else []
    )
    return Prepared(
        prompts.messages(
            question=turn.question, hits=hits, quoted=quoted, language=language, history=history
        ),
        max_tokens=MAX_ANSWER_TOKENS,
        lead=lead,
        citations=citations,
        is_shareable=turn.is_first_turn,
        prompt_version=prompts.VERSION,
        checker=SupportChecker(passages="\n".join(sources), question=question, quoted=quoted),
        stop=("```", "\n\n\n"),
        instructions=prompts.SYSTEM,
        sources=sources,
        debug=debug,
    )


async def gather(question: str, collections: Sequence[Collection]) -> Evidence:
    """A few hops to the database and two to the embedder; nothing computes on the event loop."""
    english = await to_english(question)
    query: Query = await in_database(understand, question, english=english)
    vector = np.asarray((await get_embedder().embed([query.text]))[0], dtype=np.float32)
    found, units, texts = await in_database(find, question, query, vector, collections)
    return await in_database(weigh, question, found, units, await embed_units(texts))


def find(
    question: str, query: Query, vector: search.Scores, collections: Sequence[Collection]
) -> tuple[Found, list[Unit], list[str]]:
    found = search.find_by(question, query, vector, collections=collections)
    units = quotation.units_of(found.hits[:NUM_QUOTED])
    weights = answerability.word_weights(query, answerability.num_passages())
    return found, units, quotation.worth_embedding(units, found.hits, weights)


async def embed_units(texts: Sequence[str]) -> dict[str, quotation.Vector]:
    known = _remembered.get(texts)
    missing = [text for text in texts if text not in known]
    if missing:
        rows = await get_embedder().embed([quotation.words_only(text) for text in missing])
        fresh = {text: np.asarray(row, dtype=np.float32) for text, row in zip(missing, rows, strict=True)}
        _remembered.add(fresh)
        known |= fresh
    return known


def weigh(
    question: str, found: Found, units: list[Unit], unit_vectors: dict[str, quotation.Vector]
) -> Evidence:
    num_passages = answerability.num_passages()
    weights = answerability.word_weights(found.query, num_passages)
    question_vector = (
        found.vector if found.vector is not None else np.zeros(vectors.DIMENSIONS, dtype=np.float32)
    )
    ranked = quotation.score(units, found.hits, weights, question_vector, unit_vectors)
    features = answerability.features(question, found, ranked, num_passages)
    return Evidence(found, units, ranked, features)


def choose_quotes(evidence: Evidence) -> list[Quote]:
    """The best quotation, and further ones from other passages that are nearly as good."""
    quotes: list[Quote] = []
    for budget in QUOTE_BUDGETS:
        used = {quote.hit for quote in quotes}
        left = [entry for entry in evidence.ranked if entry.unit.hit not in used]
        if not left or (quotes and left[0].score < quotes[0].best.score - FURTHER_WITHIN):
            break
        quotes.append(quotation.choose(evidence.units, left, max_characters=budget))
    return quotes


def order_hits(hits: Sequence[Hit], quotes: Sequence[Quote]) -> list[Hit]:
    """Quoted passages first, in the order of their numbers; then the best of the others."""
    chosen = list(dict.fromkeys([*(quote.hit for quote in quotes), *range(len(hits))]))
    return [hits[number] for number in chosen[:NUM_PROMPTED]]


def cite(number: int, hit: Hit, quotes: Sequence[Quote]) -> Citation:
    passage = hit.passage
    text = plain(quotes[number - 1].text) if number <= len(quotes) else ""
    article = passage.article
    url = reverse("article", args=[article.collection.slug, article.path])
    parameters = f"?quote={url_quote(text[:200])}" if text else ""
    return Citation(
        number=number,
        title=title_of(hit),
        url=f"{url}{parameters}#{passage.anchor}" if passage.anchor else f"{url}{parameters}",
        path=article.path,
        anchor=passage.anchor,
        quote=text,
        passage_id=passage.pk,
    )


def title_of(hit: Hit) -> str:
    """Article and section, without what lies between: "Tasks › rate_limit"."""
    parts = hit.passage.headings.split(" › ")
    return " › ".join(dict.fromkeys([parts[0], parts[-1]]))


def write_lead(
    quotes: Sequence[Quote], hits: Sequence[Hit], citations: Sequence[Citation], language: str
) -> str:
    parts = []
    for number, quote in enumerate(quotes, 1):
        source = f"**{citations[number - 1].title}** [{number}]"
        name = "quoted" if number == 1 else "also"
        parts.append(f"{reply(name, language=language, source=source)}\n\n{quotation.blockquote(quote.text)}")
    return "\n\n".join(parts) + "\n\n"
