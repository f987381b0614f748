"""Tickets in the console: what a person must look at, with the transcript they need for it."""

from __future__ import annotations

from django.contrib import admin
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import RangeDateFilter, RelatedDropdownFilter
from unfold.decorators import display

from assistant.console.staff import StaffAdmin
from assistant.support.models import Ticket


@admin.register(Ticket)
class TicketAdmin(StaffAdmin):
    """Made by conversations, so none is added by hand; staff change the subject and the status."""

    list_display = ("shown_number", "subject", "shown_status", "site", "email", "created_at")
    list_filter = ("status", ("site", RelatedDropdownFilter), ("created_at", RangeDateFilter))
    list_select_related = ("site",)
    search_fields = ("subject", "email", "transcript")
    ordering = ("-created_at",)
    fields = ("subject", "status", "site", "email", "shown_conversation", "shown_transcript", "created_at")
    readonly_fields = ("site", "email", "shown_conversation", "shown_transcript", "created_at")

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    @display(description=_("number"), ordering="number")
    def shown_number(self, ticket: Ticket) -> str:
        return f"#{ticket.number}"

    @display(description=_("status"), label={"open": "danger", "pending": "warning", "solved": "success"})
    def shown_status(self, ticket: Ticket) -> tuple[str, str]:
        return ticket.status, ticket.get_status_display()

    @display(description=_("conversation"))
    def shown_conversation(self, ticket: Ticket) -> str:
        if ticket.conversation_id is None:
            return str(_("deleted"))
        address = reverse("admin:conversations_conversation_change", args=[ticket.conversation_id])
        return format_html('<a class="pc-link" href="{}">{}</a>', address, _("Open the conversation"))

    @display(description=_("transcript"))
    def shown_transcript(self, ticket: Ticket) -> str:
        return format_html('<pre class="pc-plain">{}</pre>', ticket.transcript)
