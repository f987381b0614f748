"""Users with their roles, and keys of programs, in the console."""

from __future__ import annotations

from typing import Any

from allauth.account.models import EmailAddress
from django import forms
from django.contrib import admin
from django.contrib.auth.admin import GroupAdmin as BaseGroupAdmin
from django.contrib.auth.admin import UserAdmin as BaseUserAdmin
from django.contrib.auth.models import Group
from django.db.models import QuerySet
from django.forms import ModelForm
from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext_lazy as _
from unfold.decorators import action, display
from unfold.forms import AdminPasswordChangeForm, UserChangeForm, UserCreationForm
from unfold.widgets import UnfoldAdminSelectWidget

from assistant.accounts import api_keys
from assistant.accounts.models import ApiKey, User
from assistant.console.secrets_shown import show_once
from assistant.console.staff import StaffAdmin, scenario_choices, staff_user

admin.site.unregister(Group)


class NewUserForm(UserCreationForm):
    class Meta:
        model = User
        fields = ("email",)


@admin.register(User)
class UserAdmin(BaseUserAdmin, StaffAdmin):
    """Only a superuser touches superusers or makes one, so that no administrator can rise by himself."""

    form = UserChangeForm
    add_form = NewUserForm
    change_password_form = AdminPasswordChangeForm
    ordering = ("email",)
    list_display = ("email", "shown_roles", "is_staff", "is_active", "last_login")
    list_filter = ("is_staff", "is_active", "groups")
    search_fields = ("email", "first_name", "last_name")
    fieldsets = (
        (None, {"fields": ("email", "password", "first_name", "last_name", "locale")}),
        (_("Roles"), {"fields": ("is_active", "is_staff", "groups", "is_superuser")}),
        (_("Dates"), {"fields": ("last_login", "date_joined")}),
    )
    add_fieldsets = ((None, {"fields": ("email", "usable_password", "password1", "password2")}),)
    filter_horizontal = ()

    def get_queryset(self, request: HttpRequest) -> QuerySet[User]:
        return super().get_queryset(request).prefetch_related("groups")

    def get_readonly_fields(self, request: HttpRequest, obj: User | None = None) -> tuple[str, ...]:
        always = ("last_login", "date_joined")
        return always if staff_user(request).is_superuser else (*always, "is_superuser")

    def has_change_permission(self, request: HttpRequest, obj: User | None = None) -> bool:
        return super().has_change_permission(request, obj) and _may_touch(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: User | None = None) -> bool:
        return super().has_delete_permission(request, obj) and _may_touch(request, obj)

    def save_model(self, request: HttpRequest, obj: User, form: ModelForm, change: bool) -> None:
        super().save_model(request, obj, form, change)
        if not change:  # staff vouches for the address: nobody could sign in without a verified one
            EmailAddress.objects.create(user=obj, email=obj.email, primary=True, verified=True)

    @display(description=_("roles"))
    def shown_roles(self, user: User) -> str:
        names = ["superuser"] if user.is_superuser else []
        return ", ".join([*names, *(group.name for group in user.groups.all())]) or "–"


def _may_touch(request: HttpRequest, user: User | None) -> bool:
    return user is None or not user.is_superuser or staff_user(request).is_superuser


@admin.register(Group)
class RoleAdmin(BaseGroupAdmin, StaffAdmin):
    list_display = ("name",)


class ApiKeyForm(forms.ModelForm):
    scenario = forms.ChoiceField(
        label=_("Scenario"), choices=scenario_choices, widget=UnfoldAdminSelectWidget()
    )

    class Meta:
        model = ApiKey
        fields = ("name", "site", "scenario", "max_requests_per_minute")


@admin.register(ApiKey)
class ApiKeyAdmin(StaffAdmin):
    """Made here, shown once. A key is revoked, not deleted, because its conversations hang on it."""

    list_display = (
        *("name", "prefix", "site", "scenario", "max_requests_per_minute", "shown_state"),
        *("last_used_at", "created_by"),
    )
    list_filter = ("site",)
    list_select_related = ("site", "created_by")
    search_fields = ("name", "prefix")
    form = ApiKeyForm
    fields = ("name", "site", "scenario", "max_requests_per_minute")
    actions = ("revoke",)

    def get_readonly_fields(self, request: HttpRequest, obj: ApiKey | None = None) -> tuple[str, ...]:
        return (
            () if obj is None else ("site", "scenario", "prefix", "created_at", "last_used_at", "revoked_at")
        )

    def get_fields(self, request: HttpRequest, obj: ApiKey | None = None) -> tuple[str, ...]:
        shown = () if obj is None else ("prefix", "created_at", "last_used_at", "revoked_at")
        return (*self.fields, *shown)

    def has_delete_permission(self, request: HttpRequest, obj: ApiKey | None = None) -> bool:
        return False

    def save_model(self, request: HttpRequest, obj: ApiKey, form: ModelForm, change: bool) -> None:
        if change:
            super().save_model(request, obj, form, change)
            return
        made, text = api_keys.make(
            name=obj.name,
            site=obj.site,
            scenario=obj.scenario,
            max_requests_per_minute=obj.max_requests_per_minute,
            created_by=staff_user(request),
        )
        obj.pk = made.pk
        obj.refresh_from_db()
        request.new_key = text  # type: ignore[attr-defined]

    def response_add(self, request: HttpRequest, obj: ApiKey, post_url_continue: Any = None) -> HttpResponse:
        return show_once(
            request,
            title=_("The new API key"),
            secret=request.new_key,  # type: ignore[attr-defined]
            explanation=_("Send it as “Authorization: Bearer …” to /v1. It is kept only as a hash."),
            back_to="admin:accounts_apikey_changelist",
        )

    @display(description=_("state"), label={"active": "success", "revoked": "danger"})
    def shown_state(self, key: ApiKey) -> tuple[str, str]:
        return ("revoked", str(_("revoked"))) if key.revoked_at else ("active", str(_("active")))

    @action(description=_("Revoke selected keys"), permissions=["change"])
    def revoke(self, request: HttpRequest, keys: QuerySet[ApiKey]) -> None:
        for key in keys:
            api_keys.revoke(key)
        self.message_user(request, _("The keys were revoked. They are refused from now on."))
