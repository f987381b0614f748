"""How the console looks and what its menu holds. Read by the settings, so it imports no model.

Every menu item names the permission it needs; the pages check it themselves, the menu only hides what
would be refused.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.http import HttpRequest
from django.templatetags.static import static
from django.urls import reverse_lazy
from django.utils.translation import gettext_lazy as _


def environment(request: HttpRequest) -> list[Any]:
    """The label beside the name: which of several consoles this is, and whether it shows error details."""
    if settings.DEBUG:
        return [_("debug"), "danger"]
    return [_("public"), "success"] if settings.PUBLIC_URL else [_("this machine"), "info"]


def _may(permission: str) -> Callable[[HttpRequest], bool]:
    return lambda request: request.user.has_perm(permission)


def _item(title: Any, icon: str, model: str) -> dict[str, Any]:
    app, name = model.split(".")
    return {
        "title": title,
        "icon": icon,
        "link": reverse_lazy(f"admin:{app}_{name}_changelist"),
        "permission": _may(f"{app}.view_{name}"),
    }


def navigation(request: HttpRequest) -> list[dict[str, Any]]:
    """The menu without the groups of which this person may see nothing."""
    groups = [
        (
            _("Every day"),
            [
                {"title": _("Overview"), "icon": "monitoring", "link": reverse_lazy("admin:index")},
                _item(_("Conversations"), "forum", "conversations.conversation"),
                _item(_("Tickets"), "confirmation_number", "support.ticket"),
            ],
        ),
        (
            _("Assistant"),
            [
                _item(_("Sites"), "language", "widget.site"),
                _item(_("Collections"), "library_books", "knowledge.collection"),
                _item(_("Articles"), "article", "knowledge.article"),
                _item(_("Policies"), "policy", "safety.policy"),
                _item(_("Verdicts"), "gavel", "safety.verdict"),
            ],
        ),
        (
            _("Access"),
            [
                _item(_("Users"), "group", "accounts.user"),
                _item(_("Roles"), "badge", "auth.group"),
                _item(_("API keys"), "key", "accounts.apikey"),
                _item(_("Failed sign-ins"), "lock_clock", "axes.accessattempt"),
            ],
        ),
        (
            _("Operations"),
            [
                _item(_("Jobs"), "work_history", "console.job"),
                _item(_("Schedule"), "schedule", "django_celery_beat.periodictask"),
                _item(_("Audit log"), "history", "auditlog.logentry"),
            ],
        ),
    ]
    shown = [(title, [item for item in items if _is_shown(item, request)]) for title, items in groups]
    return [{"title": title, "separator": True, "items": items} for title, items in shown if items]


def _is_shown(item: dict[str, Any], request: HttpRequest) -> bool:
    return "permission" not in item or item["permission"](request)


UNFOLD: dict[str, Any] = {
    "SITE_TITLE": "Parley",
    "SITE_HEADER": "Parley",
    "SITE_SUBHEADER": _("console"),
    "SITE_SYMBOL": "forum",
    "SITE_URL": "/",
    "SITE_FAVICONS": [
        {"rel": "icon", "type": "image/svg+xml", "href": lambda request: static("widget/mark.svg")}
    ],
    "SHOW_HISTORY": True,
    "SHOW_VIEW_ON_SITE": True,
    "SHOW_LANGUAGES": True,
    "ENVIRONMENT": "assistant.console.unfold.environment",
    "DASHBOARD_CALLBACK": "assistant.console.dashboard.context",
    "STYLES": [lambda request: static("console/console.css")],
    "SCRIPTS": [lambda request: static("console/console.js")],
    "BORDER_RADIUS": "8px",
    "COLORS": {
        "primary": {
            "50": "#eef2ff",
            "100": "#dfe6ff",
            "200": "#c5d0ff",
            "300": "#a0b1fb",
            "400": "#7a8ff3",
            "500": "#5570e6",
            "600": "#3b5bdb",
            "700": "#2f49b5",
            "800": "#293f92",
            "900": "#263974",
            "950": "#172147",
        },
    },
    "ACCOUNT": {
        "navigation": [
            {"title": _("Second factor"), "link": reverse_lazy("mfa_index")},
            {"title": _("My sessions"), "link": reverse_lazy("usersessions_list")},
        ]
    },
    "COMMAND": {"search_models": ["widget.site", "knowledge.article", "support.ticket"]},
    "SIDEBAR": {
        "show_search": True,
        "command_search": True,
        "navigation": navigation,
    },
}
