"""What all pages of the console share: the base class of every model's page, and its empty states."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest
from unfold.admin import ModelAdmin

if TYPE_CHECKING:
    from assistant.accounts.models import User

RETRACT = "safety.change_policy"  # who writes the rules may enforce them by hand
EXPORT = "console.add_job"


def scenario_choices() -> list[tuple[str, str]]:
    """The scenarios that are installed, as a select shows them."""
    names = [dotted.split(".")[1] for dotted in settings.SCENARIOS]
    return [(name, name.replace("_", " ")) for name in names]


class StaffAdmin(ModelAdmin):
    """A model's pages. Lists are cut at 50 rows, filters apply together, changes can be left safely."""

    list_per_page = 50
    list_filter_submit = True
    warn_unsaved_form = True
    compressed_fields = True
    show_full_result_count = False


class ReadOnlyAdmin(StaffAdmin):
    """For what people may look at and only the program writes."""

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


def staff_user(request: HttpRequest) -> User:
    """The person at the console; its views are reached by nobody else."""
    user = request.user
    if not user.is_authenticated or not user.is_staff:
        raise PermissionDenied
    return user


def require(request: HttpRequest, permission: str) -> User:
    """The person at the console, who has this permission. Raises PermissionDenied."""
    user = staff_user(request)
    if not user.has_perm(permission):
        raise PermissionDenied
    return user
