"""Conversations in the console: found by words and filters, read as the visitor saw them, exported."""

from __future__ import annotations

import uuid
from typing import Any

from auditlog.models import LogEntry
from django.contrib import admin, messages
from django.core.cache import cache
from django.db.models import Count, OuterRef, QuerySet, Subquery
from django.db.models.fields.json import KT
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseNotAllowed, JsonResponse
from django.shortcuts import redirect
from django.template.loader import render_to_string
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import DropdownFilter, RangeDateFilter, RelatedDropdownFilter
from unfold.decorators import display

from assistant.console import audit, exports, retraction, selection, transcripts
from assistant.console.staff import EXPORT, RETRACT, StaffAdmin, require, scenario_choices, staff_user
from assistant.conversations.models import Conversation, Message

VIEW = "conversations.view_conversation"


class SelectionFilter(DropdownFilter):
    """A filter whose meaning is the selection's, so that an export selects what the list showed."""

    def queryset(self, request: HttpRequest, queryset: QuerySet[Conversation]) -> QuerySet[Conversation]:
        value = self.value()
        return selection.FILTERS[self.parameter_name](queryset, value) if value else queryset


class ScenarioFilter(SelectionFilter):
    title, parameter_name = _("scenario"), "scenario"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return scenario_choices()


class VerdictFilter(SelectionFilter):
    title, parameter_name = _("verdict"), "verdict"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [
            ("redact", _("personal data replaced")),
            ("block", _("blocked")),
            ("help", _("answered with help")),
            ("retract", _("retracted")),
            ("flag", _("flagged")),
        ]


class FeedbackFilter(SelectionFilter):
    title, parameter_name = _("feedback"), "feedback"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [("up", _("helpful")), ("down", _("not helpful"))]


class OutcomeFilter(SelectionFilter):
    title, parameter_name = _("outcome"), "outcome"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [(value, label) for value, label in Message.Outcome.choices if value]


class TierFilter(SelectionFilter):
    title, parameter_name = _("cache tier"), "tier"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [("none", _("generated")), ("exact", _("exact")), ("flight", _("one flight"))]


class ModelFilter(SelectionFilter):
    title, parameter_name = _("model"), "model"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(name, name) for name in known_models()]


def known_models() -> list[str]:
    """The models that answered so far; looked up once in five minutes, for it reads every receipt."""
    found: list[str] | None = cache.get("console:models")
    if found is None:
        named = (
            Message.objects.annotate(model=KT("receipt__model")).filter(model__isnull=False).order_by("model")
        )
        found = list(named.values_list("model", flat=True).distinct())
        cache.set("console:models", found, 300)
    return found


@admin.register(Conversation)
class ConversationAdmin(StaffAdmin):
    list_display = ("shown_title", "site", "shown_asker", "num_messages", "shown_outcome", "updated_at")
    list_filter = (
        *(("site", RelatedDropdownFilter), ScenarioFilter, OutcomeFilter, VerdictFilter, FeedbackFilter),
        *(TierFilter, ModelFilter, ("updated_at", RangeDateFilter)),
    )
    list_select_related = ("site", "user", "visitor", "api_key")
    search_fields = ("title",)
    search_help_text = _("Words of any message")
    list_before_template = "console/export_form.html"
    actions = None

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def get_queryset(self, request: HttpRequest) -> QuerySet[Conversation]:
        messages_of = Message.objects.filter(conversation=OuterRef("pk")).order_by()
        counted = messages_of.values("conversation").annotate(num=Count("pk")).values("num")
        questions = messages_of.filter(role=Message.Role.USER).order_by("created_at")
        answers = messages_of.filter(role=Message.Role.ASSISTANT).order_by("-created_at")
        return (
            super()
            .get_queryset(request)
            .annotate(
                counted=Subquery(counted),
                first_question=Subquery(questions.values("text")[:1]),
                last_outcome=Subquery(answers.values("outcome")[:1]),
            )
        )

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Conversation], search_term: str
    ) -> tuple[QuerySet[Conversation], bool]:
        return selection.by_text(queryset, search_term), False

    @display(description=_("conversation"))
    def shown_title(self, conversation: Any) -> str:
        return conversation.title or (conversation.first_question or str(conversation.pk))[:80]

    @display(description=_("asked by"))
    def shown_asker(self, conversation: Conversation) -> str:
        asker = conversation.user or conversation.visitor or conversation.api_key
        return str(asker) if asker else "–"

    @display(description=_("messages"))
    def num_messages(self, conversation: Any) -> int:
        return conversation.counted or 0

    @display(
        description=_("last answer"),
        label={"answered": "success", "refused": "warning", "blocked": "danger", "error": "danger"},
    )
    def shown_outcome(self, conversation: Any) -> tuple[str, str]:
        outcome = conversation.last_outcome or ""
        return outcome, str(dict(Message.Outcome.choices).get(outcome, "–"))

    def get_urls(self) -> list[URLPattern]:
        wrap = self.admin_site.admin_view
        return [
            path("export/", wrap(self.export_view), name="conversations_export"),
            path("<uuid:pk>/live/", wrap(self.live_view), name="conversations_live"),
            path("retract/<uuid:message_id>/", wrap(self.retract_view), name="conversations_retract"),
            *super().get_urls(),
        ]

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        """The transcript instead of a form: what was said is read here, not edited."""
        require(request, VIEW)
        conversation = self._find(object_id)
        context = {
            **self.admin_site.each_context(request),
            **self._transcript_context(request, conversation),
            "title": conversation.title or gettext("Conversation"),
            "original": conversation,
            "opts": self.opts,
            "may_delete": self.has_delete_permission(request, conversation),
        }
        return TemplateResponse(request, "console/transcript.html", context)

    def live_view(self, request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
        """What the open transcript asks while an answer is made: nothing, or the page's new inside."""
        require(request, VIEW)
        context = self._transcript_context(request, self._find(pk))
        transcript = context["transcript"]
        reply = {"version": transcript.version, "is_running": transcript.is_running}
        if request.GET.get("version") != transcript.version:
            reply["html"] = render_to_string("console/transcript_body.html", context, request)
        return JsonResponse(reply, headers={"Cache-Control": "no-store"})

    def retract_view(self, request: HttpRequest, message_id: uuid.UUID) -> HttpResponse:
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        user = require(request, RETRACT)
        message = Message.objects.select_related("conversation__site").filter(pk=message_id).first()
        if message is None:
            raise Http404
        try:
            retraction.retract(message=message, by=user, reason=request.POST.get("reason", "")[:200])
        except retraction.CannotRetract as error:
            messages.error(request, str(error))
        else:
            messages.success(request, gettext("The answer was retracted."))
        return redirect("admin:conversations_conversation_change", message.conversation_id)

    def export_view(self, request: HttpRequest) -> HttpResponse:
        """Start the export of what the list shows. The parameters come from the list's address."""
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        user = require(request, EXPORT)
        parameters = {name: request.POST[name] for name in selection.FILTERS if request.POST.get(name)}
        try:
            job = exports.start(
                parameters=parameters, file_format=request.POST.get("format", ""), created_by=user
            )
        except ValueError as error:
            messages.error(request, str(error))
            return redirect("admin:conversations_conversation_changelist")
        messages.success(request, gettext("The export is being written."))
        return redirect(f"{reverse('admin:console_job_changelist')}#{job.pk}")

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        given = {name: request.GET[name] for name in selection.FILTERS if request.GET.get(name)}
        may_export = request.user.has_perm(EXPORT)
        context = {"export_parameters": given, "may_export": may_export}
        return super().changelist_view(request, (extra_context or {}) | context)

    def delete_model(self, request: HttpRequest, obj: Conversation) -> None:
        facts = {"site": (obj.site, ""), "messages": (obj.messages.count(), 0)}
        audit.record(obj, by=staff_user(request), changes=facts, action=LogEntry.Action.DELETE)
        super().delete_model(request, obj)

    def _find(self, conversation_id: str | uuid.UUID) -> Conversation:
        related = Conversation.objects.select_related("site", "user", "visitor", "api_key")
        try:
            return related.get(pk=conversation_id)
        except (Conversation.DoesNotExist, ValueError):
            raise Http404 from None

    def _transcript_context(self, request: HttpRequest, conversation: Conversation) -> dict[str, Any]:
        try:
            leaf_id = uuid.UUID(request.GET["leaf"]) if "leaf" in request.GET else None
        except ValueError:
            leaf_id = None
        return {
            "conversation": conversation,
            "transcript": transcripts.read(conversation, leaf_id=leaf_id),
            "may_retract": request.user.has_perm(RETRACT),
        }
