"""Policies and verdicts in the console. A policy is never changed: an edit publishes a new version."""

from __future__ import annotations

import difflib
import json
from typing import Any

from django import forms
from django.contrib import admin
from django.db.models import QuerySet
from django.forms import ModelForm
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.html import format_html
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import RangeDateFilter, RelatedDropdownFilter
from unfold.decorators import display
from unfold.widgets import UnfoldAdminSelectWidget, UnfoldAdminTextareaWidget

from assistant.console import audit
from assistant.console.staff import ReadOnlyAdmin, StaffAdmin, scenario_choices, staff_user
from assistant.safety import policies
from assistant.safety.models import Policy, Verdict
from assistant.safety.rules import Rules, RulesInvalid, parse


def as_text(rules: Any) -> str:
    return json.dumps(rules, indent=2, ensure_ascii=False, sort_keys=True)


class PolicyForm(forms.ModelForm):
    """Rules as JSON, checked with their schema; each fault names its field and the remedy."""

    rules = forms.CharField(
        label=_("Rules"),
        widget=UnfoldAdminTextareaWidget(attrs={"rows": 18, "class": "pc-code", "spellcheck": "false"}),
    )

    scenario = forms.ChoiceField(
        label=_("Scenario"),
        required=False,
        choices=lambda: [("", _("every scenario")), *scenario_choices()],
        widget=UnfoldAdminSelectWidget(),
    )

    class Meta:
        model = Policy
        fields = ("site", "scenario", "rules", "note")

    def _get_validation_exclusions(self) -> set[str]:
        """The schema judges the rules; the model would refuse {}, which means the defaults."""
        return super()._get_validation_exclusions() | {"rules"}  # type: ignore[misc]

    def clean_rules(self) -> dict[str, Any]:
        try:
            rules = json.loads(self.cleaned_data["rules"])
            parse(rules)
        except json.JSONDecodeError as error:
            raise forms.ValidationError(
                _("This is not JSON: line %(line)d, column %(column)d: %(why)s."),
                params={"line": error.lineno, "column": error.colno, "why": error.msg},
            ) from None
        except RulesInvalid as error:
            raise forms.ValidationError(str(error).splitlines()) from None
        return rules


@admin.register(Policy)
class PolicyAdmin(StaffAdmin):
    form = PolicyForm
    list_display = ("__str__", "shown_state", "note", "created_by", "created_at")
    list_filter = (("site", RelatedDropdownFilter), "scenario", "is_active")
    list_select_related = ("site", "created_by")
    ordering = ("-version",)
    change_form_outer_before_template = "console/policy_history.html"
    readonly_fields = ("created_by", "created_at")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Policy]:
        return super().get_queryset(request).select_related("site", "created_by")

    def get_fields(self, request: HttpRequest, obj: Policy | None = None) -> tuple[str, ...]:
        edited = ("site", "scenario", "rules", "note")
        return (
            edited if obj is None else ("site", "scenario", "shown_rules", "note", "created_by", "created_at")
        )

    def get_readonly_fields(self, request: HttpRequest, obj: Policy | None = None) -> tuple[str, ...]:
        return () if obj is None else self.get_fields(request, obj)

    def has_change_permission(self, request: HttpRequest, obj: Policy | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Policy | None = None) -> bool:
        return False

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        """A new version begins as a copy of the one named in the address, or as all the defaults."""
        source = Policy.objects.filter(pk=request.GET.get("from") or 0).first()
        if source is None:
            return {"rules": as_text(Rules().model_dump(mode="json"))}
        return {"site": source.site, "scenario": source.scenario, "rules": as_text(source.rules)}

    def render_change_form(
        self, request: HttpRequest, context: Any, *args: Any, **kwargs: Any
    ) -> HttpResponse:
        policy = kwargs.get("obj")
        if policy is not None:
            versions = list(versions_like(policy))
            older = [other for other in versions if other.version < policy.version]
            context |= {
                "versions": versions,
                "previous": older[0] if older else None,
                "difference": difference(older[0] if older else None, policy),
                "edit_url": f"{reverse('admin:safety_policy_add')}?from={policy.pk}",
                "may_edit": self.has_add_permission(request),
            }
        return super().render_change_form(request, context, *args, **kwargs)

    def save_model(self, request: HttpRequest, obj: Policy, form: ModelForm, change: bool) -> None:
        before = versions_like(obj).filter(is_active=True).first()
        user = staff_user(request)
        made = policies.publish(site=obj.site, scenario=obj.scenario, rules=obj.rules, by=user, note=obj.note)
        obj.pk = made.pk
        obj.refresh_from_db()
        old = as_text(before.rules) if before else ""
        audit.record(obj, by=user, changes={"rules": (old, as_text(obj.rules))})

    @display(description=_("rules"))
    def shown_rules(self, policy: Policy) -> str:
        return format_html('<pre class="pc-code">{}</pre>', as_text(policy.rules))

    @display(description=_("state"), label={"on": "success", "off": "info"})
    def shown_state(self, policy: Policy) -> tuple[str, str]:
        return ("on", str(_("holds"))) if policy.is_active else ("off", str(_("superseded")))


def versions_like(policy: Policy) -> QuerySet[Policy]:
    """All versions for the same place, newest first."""
    same = Policy.objects.filter(site=policy.site, scenario=policy.scenario)
    return same.select_related("created_by").order_by("-version")


def difference(old: Policy | None, new: Policy) -> list[tuple[str, str]]:
    """(kind, line) with kind one of same, out, in."""
    kinds = {" ": "same", "-": "out", "+": "in"}
    before = as_text(old.rules).splitlines() if old else []
    lines = difflib.ndiff(before, as_text(new.rules).splitlines())
    return [(kinds[line[0]], line[2:]) for line in lines if line[0] in kinds]


@admin.register(Verdict)
class VerdictAdmin(ReadOnlyAdmin):
    """What the checks decided and why; never the words themselves."""

    list_display = (
        *("created_at", "stage", "check_name", "shown_action", "reason", "site", "policy_version"),
        "shown_conversation",
    )
    list_filter = (
        *("action", "stage", "check_name", ("site", RelatedDropdownFilter)),
        ("created_at", RangeDateFilter),
    )
    list_select_related = ("site",)
    search_fields = ("reason", "check_name")
    ordering = ("-created_at",)
    fields = list_display
    readonly_fields = list_display

    @display(
        description=_("action"),
        label={
            "block": "danger",
            "retract": "danger",
            "help": "warning",
            "redact": "info",
            "flag": "warning",
        },
    )
    def shown_action(self, verdict: Verdict) -> str:
        return verdict.action

    @display(description=_("conversation"))
    def shown_conversation(self, verdict: Verdict) -> str:
        if verdict.conversation_id is None:
            return "–"
        address = reverse("admin:conversations_conversation_change", args=[verdict.conversation_id])
        return format_html('<a class="pc-link" href="{}">{}</a>', address, _("open"))
