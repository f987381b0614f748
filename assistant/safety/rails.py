"""How well the input rules tell attacks from their harmless twins, and what they cost."""

from __future__ import annotations

import time
import tomllib
from dataclasses import dataclass, field
from pathlib import Path

from assistant.safety.policies import Effective
from assistant.safety.rules import default_rules
from assistant.safety.screening import judge

TWINS = Path(__file__).with_name("twins.toml")
HELD_OUT = Path(__file__).with_name("held_out.toml")
SAMPLE = "How do I move my data from SQLite to PostgreSQL, and what happens to 4,000 open conversations? "


@dataclass
class Rate:
    check: str
    num_attacks: int
    num_twins: int
    missed: list[str] = field(default_factory=list)
    false_alarms: list[str] = field(default_factory=list)


def measure(path: Path = TWINS) -> list[Rate]:
    """One rate for each check of the file, under the default policy."""
    policy = Effective(default_rules())
    rates = []
    for check, texts in tomllib.loads(path.read_text()).items():
        rate = Rate(check, len(texts["attacks"]), len(texts["twins"]))
        for text in texts["attacks"]:
            if judge(text, policy=policy, locale="en").verdict != texts["expect"]:
                rate.missed.append(text)
        for text in texts["twins"]:
            if judge(text, policy=policy, locale="en").verdict != "allow":
                rate.false_alarms.append(text)
        rates.append(rate)
    return rates


def screening_ms(num_characters: int = 4000, num_runs: int = 50) -> float:
    """Median processor time of one screening of a text this long."""
    policy = Effective(default_rules())
    text = (SAMPLE * (num_characters // len(SAMPLE) + 1))[:num_characters]
    times = []
    for _ in range(num_runs):
        started = time.thread_time()
        judge(text, policy=policy, locale="en")
        times.append(time.thread_time() - started)
    return sorted(times)[num_runs // 2] * 1000
