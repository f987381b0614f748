"""The first page: which days and which site are meant, and the figures as charts and tables need them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from django import forms
from django.http import HttpRequest
from django.utils import timezone
from django.utils.formats import date_format, number_format
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from assistant.console import statistics
from assistant.console.statistics import Day, Report
from assistant.widget.models import Site

PERIODS = (7, 30, 90)
PERMISSION = "conversations.view_conversation"


class PeriodForm(forms.Form):
    """Either one of PERIODS, or from-to; a reversed pair is turned round rather than refused."""

    days = forms.TypedChoiceField(
        choices=[(str(n), str(n)) for n in PERIODS], coerce=int, empty_value=None, required=False
    )
    since = forms.DateField(required=False, label=gettext_lazy("From"))
    until = forms.DateField(required=False, label=gettext_lazy("To"))
    site = forms.ModelChoiceField(Site.objects.all(), required=False, label=gettext_lazy("Site"))

    def period(self) -> tuple[date, date]:
        today = timezone.localdate()
        since, until = self.cleaned_data.get("since"), self.cleaned_data.get("until")
        if since or until:
            pair = sorted((since or until or today, until or today))
            return pair[0], pair[1]
        return today - timedelta(days=(self.cleaned_data.get("days") or PERIODS[0]) - 1), today


@dataclass(frozen=True)
class Series:
    label: str
    tone: str
    value: Callable[[Day], float | None]


@dataclass(frozen=True)
class Chart:
    """One drawing with the table that says the same. `kind` is bar or line."""

    name: str
    title: str
    kind: str
    unit: str
    series: list[Series]
    is_stacked: bool = False

    def as_json(self, days: list[Day]) -> dict[str, Any]:
        return {
            "kind": self.kind,
            "unit": self.unit,
            "is_stacked": self.is_stacked,
            "labels": [date_format(day.day, "M j") for day in days],
            "series": [
                {"label": one.label, "tone": one.tone, "values": [_rounded(one.value(day)) for day in days]}
                for one in self.series
            ],
        }

    def rows(self, days: list[Day]) -> list[tuple[date, list[str]]]:
        """Newest first, in words."""
        return [
            (day.day, [_shown(one.value(day), self.unit) for one in self.series]) for day in reversed(days)
        ]


def charts() -> list[Chart]:
    return [
        Chart(
            "questions",
            _("Questions"),
            "bar",
            "",
            [Series(_("Questions"), "primary", lambda day: day.num_questions)],
        ),
        Chart(
            "ttft",
            _("Time to first token"),
            "line",
            "ms",
            [
                Series(_("Half within (p50)"), "primary", lambda day: day.ttft_p50_ms),
                Series(_("95 % within (p95)"), "amber", lambda day: day.ttft_p95_ms),
            ],
        ),
        Chart(
            "hits",
            _("Answered from the cache"),
            "line",
            "%",
            [Series(_("Hit rate"), "green", lambda day: _percent(day.hit_rate))],
        ),
        Chart(
            "feedback",
            _("Feedback"),
            "bar",
            "",
            [
                Series(_("Helpful"), "green", lambda day: day.num_up),
                Series(_("Not helpful"), "red", lambda day: day.num_down),
            ],
            is_stacked=True,
        ),
        Chart(
            "refusals",
            _("Not answered"),
            "bar",
            "",
            [
                Series(_("Does not know"), "amber", lambda day: day.num_refused),
                Series(_("Blocked"), "red", lambda day: day.num_blocked),
                Series(_("Failed"), "grey", lambda day: day.num_failed),
            ],
            is_stacked=True,
        ),
        Chart(
            "speed",
            _("Generation speed"),
            "line",
            "tok/s",
            [Series(_("Tokens per second, median"), "primary", lambda day: day.tokens_per_s)],
        ),
    ]


def context(request: HttpRequest, base: dict[str, Any]) -> dict[str, Any]:
    """Unfold's hook: what the first page's template gets. Without the right to read, an empty welcome."""
    base["title"] = _("Overview")
    base["may_see_figures"] = request.user.has_perm(PERMISSION)
    if not base["may_see_figures"]:
        return base
    form = PeriodForm(request.GET)
    form.is_valid()
    since, until = form.period()
    site = form.cleaned_data.get("site")
    report = statistics.report(since=since, until=until, site_id=site.pk if site else None)
    drawn = [
        {
            "chart": chart,
            "data": chart.as_json(report.days),
            "data_id": f"chart-data-{chart.name}",
            "rows": chart.rows(report.days),
        }
        for chart in charts()
    ]
    chosen_days = None if request.GET.get("since") else (until - since).days + 1
    return base | {
        "form": form,
        "periods": PERIODS,
        "chosen_days": chosen_days,
        "chosen_site": site,
        "sites": Site.objects.order_by("name"),
        "report": report,
        "tiles": tiles(report),
        "charts": drawn,
    }


def tiles(report: Report) -> list[dict[str, str]]:
    """The period in a few numbers."""
    total = report.total
    num_judged = total.num_up + total.num_down
    return [
        {"label": _("Questions"), "value": _shown(total.num_questions, "")},
        {"label": _("First token, p50"), "value": _shown(total.ttft_p50_ms, "ms")},
        {"label": _("First token, p95"), "value": _shown(total.ttft_p95_ms, "ms")},
        {"label": _("Cache hit rate"), "value": _shown(_percent(total.hit_rate), "%")},
        {
            "label": _("Helpful"),
            "value": _shown(100 * total.num_up / num_judged if num_judged else None, "%"),
            "note": _("%(num)d judged") % {"num": num_judged},
        },
        {"label": _("Does not know"), "value": _shown(_percent(total.refusal_rate), "%")},
        {"label": _("Speed, median"), "value": _shown(total.tokens_per_s, "tok/s")},
    ]


def _percent(share: float | None) -> float | None:
    return None if share is None else 100 * share


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 1)


def _shown(value: float | None, unit: str) -> str:
    if value is None:
        return "–"
    places = 1 if unit in {"%", "tok/s"} else 0
    number = number_format(value, decimal_pos=places, use_l10n=True, force_grouping=True)
    return f"{number} {unit}".rstrip()
