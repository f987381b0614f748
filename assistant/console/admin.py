"""Jobs, the audit log and the schedule; and what other packages brought to the console, put in order.

Loaded last, because this app is the last in the list: every other page is registered by then.
"""

from __future__ import annotations

from typing import Any

from allauth.account.models import EmailAddress, EmailConfirmation
from allauth.mfa.models import Authenticator
from allauth.usersessions.models import UserSession
from auditlog.models import LogEntry
from axes.models import AccessAttempt, AccessFailureLog, AccessLog
from django.contrib import admin
from django.db.models import QuerySet
from django.http import FileResponse, Http404, HttpRequest, HttpResponse, JsonResponse
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html, format_html_join
from django.utils.translation import gettext_lazy as _
from django_celery_beat.models import (
    ClockedSchedule,
    CrontabSchedule,
    IntervalSchedule,
    PeriodicTask,
    SolarSchedule,
)
from unfold.contrib.filters.admin import ChoicesDropdownFilter, RangeDateFilter
from unfold.decorators import display

from assistant.console import exports
from assistant.console.models import Job
from assistant.console.staff import EXPORT, ReadOnlyAdmin, require, staff_user

for model in (
    *(EmailAddress, EmailConfirmation, Authenticator, UserSession, LogEntry),
    *(AccessAttempt, AccessFailureLog, AccessLog),
    *(PeriodicTask, ClockedSchedule, CrontabSchedule, IntervalSchedule, SolarSchedule),
):
    if admin.site.is_registered(model):
        admin.site.unregister(model)

STATE_COLOURS = {
    Job.State.WAITING: "info",
    Job.State.RUNNING: "warning",
    Job.State.DONE: "success",
    Job.State.FAILED: "danger",
}


@admin.register(Job)
class JobAdmin(ReadOnlyAdmin):
    """Everybody on the staff sees how far jobs are; the file is only for the one who asked."""

    list_display = (
        "kind",
        "shown_state",
        "shown_progress",
        "message",
        "created_by",
        "created_at",
        "download",
    )
    list_filter = (("state", ChoicesDropdownFilter),)
    list_select_related = ("created_by",)
    list_before_template = "console/jobs_live.html"
    fields = ("kind", "shown_state", "shown_progress", "message", "download", "created_by", "created_at")
    readonly_fields = fields

    def get_queryset(self, request: HttpRequest) -> QuerySet[Job]:
        self.request = request
        return super().get_queryset(request)

    @display(description=_("state"), label=STATE_COLOURS)
    def shown_state(self, job: Job) -> tuple[str, str]:
        return job.state, job.get_state_display()

    @display(description=_("progress"))
    def shown_progress(self, job: Job) -> str:
        return format_html(
            '<span class="pc-progress" data-job="{}" data-state="{}"><progress max="{}" value="{}"'
            ' aria-label="{}"></progress> <span>{} / {}</span></span>',
            *(
                job.pk,
                job.state,
                job.num_total or 1,
                job.num_done,
                _("progress"),
                job.num_done,
                job.num_total,
            ),
        )

    @display(description=_("file"))
    def download(self, job: Job) -> str:
        if not job.result_path or job.created_by_id != self.request.user.pk:
            return ""
        address = reverse("admin:console_job_download", args=[job.pk])
        return format_html('<a class="pc-link" href="{}">{}</a>', address, _("Download"))

    def get_urls(self) -> list[URLPattern]:
        wrap = self.admin_site.admin_view
        return [
            path("progress/", wrap(self.progress_view), name="console_job_progress"),
            path("<uuid:job_id>/download/", wrap(self.download_view), name="console_job_download"),
            *super().get_urls(),
        ]

    def progress_view(self, request: HttpRequest) -> HttpResponse:
        """What the page of jobs asks again and again while something is at work."""
        require(request, "console.view_job")
        jobs = Job.objects.all()[:50]
        return JsonResponse(
            {
                "jobs": [
                    {
                        "id": str(job.pk),
                        "state": job.state,
                        "done": job.num_done,
                        "total": job.num_total,
                        "message": job.message,
                    }
                    for job in jobs
                ]
            }
        )

    def download_view(self, request: HttpRequest, job_id: Any) -> FileResponse:
        user = require(request, EXPORT)
        job = Job.objects.filter(pk=job_id).first()
        file = exports.file_of(job, asked_by=user) if job else None
        if job is None or file is None:
            raise Http404(
                "There is no such file, it was deleted after its days, or somebody else asked for it."
            )
        name = f"conversations-{job.created_at:%Y%m%d-%H%M}{file.suffix}"
        response = FileResponse(file.open("rb"), as_attachment=True, filename=name)
        response["Cache-Control"] = "no-store"
        return response


@admin.register(LogEntry)
class AuditAdmin(ReadOnlyAdmin):
    """Who changed what, when, from which value to which. Nobody can change it here."""

    list_display = ("timestamp", "actor", "shown_action", "content_type", "object_repr", "shown_changes")
    list_filter = (
        ("action", ChoicesDropdownFilter),
        "content_type",
        ("timestamp", RangeDateFilter),
    )
    list_select_related = ("content_type", "actor")
    search_fields = ("object_repr", "actor__email", "object_pk")
    fields = (
        *("timestamp", "actor", "actor_email", "remote_addr", "shown_action"),
        *("content_type", "object_pk", "object_repr", "shown_changes"),
    )
    readonly_fields = fields
    ordering = ("-timestamp",)

    @display(
        description=_("action"),
        label={"create": "success", "update": "info", "delete": "danger", "access": "warning"},
    )
    def shown_action(self, entry: LogEntry) -> tuple[str, str]:
        return ("create", "update", "delete", "access")[entry.action], entry.get_action_display()

    @display(description=_("before → after"))
    def shown_changes(self, entry: LogEntry) -> str:
        rows = [_change(name, change) for name, change in (entry.changes or {}).items()]
        return format_html(
            '<ul class="pc-changes">{}</ul>', format_html_join("", "<li>{} {} → {}</li>", rows)
        )


def _change(name: str, change: Any) -> tuple[str, str, str]:
    """One field's row; a many-to-many change says what was added or taken away."""
    if isinstance(change, dict):
        objects = ", ".join(str(one) for one in change.get("objects", []))
        is_added = change.get("operation") == "add"
        return f"{name}:", "" if is_added else objects, objects if is_added else ""
    before, after = change
    return f"{name}:", str(before)[:300], str(after)[:300]


@admin.register(PeriodicTask)
class ScheduleAdmin(ReadOnlyAdmin):
    """What runs by itself and when it last did. The schedule is written in the settings."""

    list_display = ("name", "task", "scheduler", "enabled", "last_run_at", "total_run_count")
    fields = list_display
    readonly_fields = list_display


@admin.register(AccessAttempt)
class FailedSignInAdmin(ReadOnlyAdmin):
    """Counted failures; deleting a row lets that person try again at once."""

    list_display = ("attempt_time", "username", "ip_address", "failures_since_start")
    search_fields = ("username", "ip_address")
    fields = (*list_display, "user_agent", "path_info")
    readonly_fields = fields

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return staff_user(request).has_perm("axes.delete_accessattempt")
