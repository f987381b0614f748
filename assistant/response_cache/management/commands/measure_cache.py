"""`manage.py measure_cache --site SLUG`: what a hit costs inside this process, against the real Valkey."""

from __future__ import annotations

import time
import uuid
from argparse import ArgumentParser
from typing import Any

from django.apps import apps
from django.core.management.base import BaseCommand, CommandError

from assistant.response_cache import services
from assistant.response_cache.entries import Answer
from assistant.response_cache.keys import Question
from assistant.widget.models import Site

TEXT = "It is kept in the folder `var`, beside the models and the log. See the table of settings. " * 12


class Command(BaseCommand):
    help = "Measure the time of a cache hit: Valkey, signature, the look at the message's row, the replay."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--site", required=True, help="slug of the site")
        parser.add_argument("--num", type=int, default=500, help="how many lookups")

    def handle(self, *args: Any, **options: Any) -> None:
        site = Site.objects.filter(slug=options["site"]).first()
        if site is None:
            raise CommandError(f"There is no site {options['site']!r}.")
        conversation = apps.get_model("conversations", "Conversation").objects.create(site=site)
        try:
            message = conversation.messages.create(role="assistant", text=TEXT, state="complete")
            times = measure(site, str(message.pk), options["num"])
        finally:
            conversation.delete()
        p50, p95 = times[len(times) // 2], times[int(len(times) * 0.95)]
        self.stdout.write(f"hit: p50 {p50:.2f} ms, p95 {p95:.2f} ms of {len(times)} ({len(TEXT)} characters)")


def measure(site: Site, message_id: str, num: int) -> list[float]:
    """Sorted times in ms of `num` hits with their replay. Leaves nothing behind."""
    question = Question(
        site_id=site.pk,
        scenario="measure",
        locale="en",
        text=uuid.uuid4().hex,
        model="",
        prompt_version="",
        knowledge_epoch=0,
        policy_version=0,
    )
    answer = Answer(text=TEXT, outcome="answered", message_id=message_id, is_shareable=True)
    if not services.store(question, answer):
        raise CommandError("Valkey does not answer: start it with `make run`.")
    times = []
    try:
        for _ in range(num):
            started = time.perf_counter()
            hit = services.lookup(question)
            assert hit is not None
            "".join(hit.answer.replay())
            times.append((time.perf_counter() - started) * 1000)
    finally:
        services.forget(message_id)
    return sorted(times)
