from typing import Any

from django.core.management.base import BaseCommand

from assistant.safety import rails


class Command(BaseCommand):
    help = "Report how many attacks the input rules miss, how many harmless twins they stop, and their time."

    def handle(self, *args: Any, **options: Any) -> None:
        self._report("the set the rules were written with", rails.measure(rails.TWINS))
        self._report("a set they were not", rails.measure(rails.HELD_OUT))
        self.stdout.write(f"screening 4,000 characters takes {rails.screening_ms():.2f} ms of processor time")

    def _report(self, title: str, rates: list[rails.Rate]) -> None:
        self.stdout.write(f"{title}:")
        for rate in rates:
            self.stdout.write(
                f"  {rate.check:10} missed {len(rate.missed)} of {rate.num_attacks} attacks,"
                f" stopped {len(rate.false_alarms)} of {rate.num_twins} harmless twins"
            )
            for text in rate.missed:
                self.stdout.write(f"    missed:      {text}")
            for text in rate.false_alarms:
                self.stdout.write(f"    false alarm: {text}")
