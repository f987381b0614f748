"""Sites in the console: looks and words, who may embed the widget, the snippet, the identity secret."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django import forms
from django.conf import settings
from django.contrib import admin
from django.core.validators import RegexValidator
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.urls import URLPattern, path
from django.utils.translation import gettext_lazy as _
from unfold.decorators import display
from unfold.widgets import (
    UnfoldAdminCheckboxSelectMultipleWidget,
    UnfoldAdminColorInputWidget,
    UnfoldAdminSelectWidget,
    UnfoldAdminTextareaWidget,
)

from assistant.console.secrets_shown import show_once
from assistant.console.staff import StaffAdmin, require, scenario_choices
from assistant.widget import services
from assistant.widget.models import Site
from assistant.widget.origins import validate_origins

ROTATE = "widget.change_site"


class LinesField(forms.CharField):
    """A list of texts, one a line."""

    widget = UnfoldAdminTextareaWidget(attrs={"rows": 4})

    def prepare_value(self, value: Any) -> Any:
        return "\n".join(value) if isinstance(value, list) else value

    def to_python(self, value: Any) -> Any:
        return [line.strip() for line in str(value or "").splitlines() if line.strip()]


class OriginsField(LinesField):
    default_validators = [validate_origins]

    def to_python(self, value: Any) -> Any:
        return [line.rstrip("/").lower() for line in super().to_python(value)]


class SiteForm(forms.ModelForm):
    """The words by language are edited one field a language; languages without a field are kept."""

    allowed_origins = OriginsField(
        required=False,
        label=_("Allowed origins"),
        help_text=_("One a line, e.g. https://shop.example. Only their pages may show the widget."),
    )
    scenario = forms.ChoiceField(
        label=_("Scenario"), choices=scenario_choices, widget=UnfoldAdminSelectWidget()
    )
    default_locale = forms.ChoiceField(
        label=_("Language"), choices=settings.LANGUAGES, widget=UnfoldAdminSelectWidget()
    )
    color = forms.CharField(
        label=_("Colour"),
        widget=UnfoldAdminColorInputWidget(),
        validators=[RegexValidator(r"^#[0-9a-fA-F]{6}$", _("Write a colour as #rrggbb."))],
    )

    class Meta:
        model = Site
        widgets = {"collections": UnfoldAdminCheckboxSelectMultipleWidget}
        exclude = ("greeting", "starters", "identity_secret")  # noqa: DJ006 (the words have fields of their own)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for code, _name in settings.LANGUAGES:
            for name in ("greeting", "starters"):
                self.fields[f"{name}_{code}"].initial = getattr(self.instance, name).get(code)

    def save(self, commit: bool = True) -> Any:
        for name in ("greeting", "starters"):
            words = dict(getattr(self.instance, name))
            words |= {code: self.cleaned_data[f"{name}_{code}"] for code, _name in settings.LANGUAGES}
            setattr(self.instance, name, {code: value for code, value in words.items() if value})
        return super().save(commit)


def _fields_of_words() -> Iterator[tuple[str, forms.Field]]:
    for code, language in settings.LANGUAGES:
        widget = UnfoldAdminTextareaWidget(attrs={"rows": 2})
        yield f"greeting_{code}", forms.CharField(required=False, label=language, widget=widget)
        help_text = _("One question a line.")
        yield f"starters_{code}", LinesField(required=False, label=language, help_text=help_text)


# Where a form's class keeps what it declares; the fieldsets below name these fields.
SiteForm.declared_fields |= dict(_fields_of_words())


@admin.register(Site)
class SiteAdmin(StaffAdmin):
    form = SiteForm
    list_display = ("name", "slug", "scenario", "shown_origins", "retention_days", "shown_state")
    search_fields = ("name", "slug")
    prepopulated_fields = {"slug": ("name",)}
    change_form_outer_before_template = "console/site_embed.html"
    fieldsets = (
        (None, {"fields": ("name", "slug", "is_active", "scenario", "collections", "default_locale")}),
        (_("Where it may stand"), {"fields": ("allowed_origins",)}),
        (_("Looks"), {"fields": ("color", "position")}),
        (_("Greeting"), {"fields": tuple(f"greeting_{code}" for code, _name in settings.LANGUAGES)}),
        (_("Starters"), {"fields": tuple(f"starters_{code}" for code, _name in settings.LANGUAGES)}),
        (
            _("People and data"),
            {"fields": ("handoff_email", "retention_days", "has_training_consent")},
        ),
    )

    def get_urls(self) -> list[URLPattern]:
        rotate = self.admin_site.admin_view(self.rotate_view)
        return [path("<path:site_id>/rotate-secret/", rotate, name="widget_site_rotate"), *super().get_urls()]

    def render_change_form(
        self, request: HttpRequest, context: Any, *args: Any, **kwargs: Any
    ) -> HttpResponse:
        site = kwargs.get("obj")
        if site is not None:
            base_url = request.build_absolute_uri("/").rstrip("/")
            context["snippet"] = services.embed_snippet(site, base_url=settings.PUBLIC_URL or base_url)
            context["may_rotate"] = request.user.has_perm(ROTATE)
        return super().render_change_form(request, context, *args, **kwargs)

    def rotate_view(self, request: HttpRequest, site_id: str) -> HttpResponse:
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        require(request, ROTATE)
        site = self.get_object(request, site_id)
        if site is None:
            raise Http404
        return show_once(
            request,
            title=_("The new identity secret"),
            secret=services.rotate_identity_secret(site),
            explanation=_("Sign your users' identities with it (HS256). The old secret no longer counts."),
            back_to="admin:widget_site_change",
            args=(site.pk,),
        )

    @display(description=_("allowed origins"))
    def shown_origins(self, site: Site) -> str:
        return ", ".join(site.allowed_origins[:3]) or str(_("only this server"))

    @display(description=_("state"), label={"on": "success", "off": "danger"})
    def shown_state(self, site: Site) -> tuple[str, str]:
        return ("on", str(_("on"))) if site.is_active else ("off", str(_("off")))
