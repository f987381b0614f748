from typing import Any

from django.core.management.base import BaseCommand

from assistant.safety import rails


class Command(BaseCommand):
    help = "Report how many attacks the input rules miss, how many harmless twins they stop, and their time."

    def handle(self, *args: Any, **options: Any) -> None:
        for rate in rails.measure():
            self.stdout.write(
                f"{rate.check:10} missed {len(rate.missed)} of {rate.num_attacks} attacks,"
                f" stopped {len(rate.false_alarms)} of {rate.num_twins} harmless twins"
            )
            for text in rate.missed:
                self.stdout.write(f"  missed:      {text}")
            for text in rate.false_alarms:
                self.stdout.write(f"  false alarm: {text}")
        self.stdout.write(f"screening 4,000 characters takes {rails.screening_ms():.2f} ms (median of 50)")
