"""Collections and articles in the console: bring files, see what was read, take articles away."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.db.models import Count, Max, QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.shortcuts import redirect
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html
from django.utils.safestring import mark_safe
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import RelatedDropdownFilter
from unfold.decorators import display

from assistant.console import reindexing
from assistant.console.staff import StaffAdmin, require
from assistant.knowledge import ingest, services
from assistant.knowledge.errors import KnowledgeError
from assistant.knowledge.models import Article, Collection
from assistant.knowledge.rendering import render

BRING = "knowledge.add_article"


@admin.register(Collection)
class CollectionAdmin(StaffAdmin):
    list_display = ("name", "slug", "num_articles", "shown_sites", "last_change", "epoch")
    search_fields = ("name", "slug")
    prepopulated_fields = {"slug": ("name",)}
    fields = ("name", "slug")
    change_form_outer_before_template = "console/collection_upload.html"

    def get_queryset(self, request: HttpRequest) -> QuerySet[Collection]:
        counted = Count("articles", distinct=True)
        collections = super().get_queryset(request).prefetch_related("sites")
        return collections.annotate(counted=counted, changed=Max("articles__updated_at"))

    def get_urls(self) -> list[URLPattern]:
        wrap = self.admin_site.admin_view
        return [
            path("<int:pk>/upload/", wrap(self.upload_view), name="knowledge_collection_upload"),
            path("<int:pk>/reindex/", wrap(self.reindex_view), name="knowledge_collection_reindex"),
            *super().get_urls(),
        ]

    def render_change_form(
        self, request: HttpRequest, context: Any, *args: Any, **kwargs: Any
    ) -> HttpResponse:
        context["may_upload"] = request.user.has_perm(BRING)
        context["suffixes"] = ".md,.markdown,.rst,.txt,.html,.htm,.pdf,.docx"
        return super().render_change_form(request, context, *args, **kwargs)

    def upload_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Take files and start the job that reads them; the page of jobs shows how far it is."""
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        user = require(request, BRING)
        try:
            job = ingest.enqueue_upload(
                collection=_collection(pk), files=request.FILES.getlist("files"), by=user
            )
        except KnowledgeError as error:
            messages.error(request, str(error))
            return redirect("admin:knowledge_collection_change", pk)
        messages.success(request, gettext("The files are being read."))
        return redirect(f"{reverse('admin:console_job_changelist')}#{job.pk}")

    def reindex_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        user = require(request, BRING)
        job = reindexing.start(collection=_collection(pk), created_by=user)
        messages.success(request, gettext("The articles are being cut and embedded again."))
        return redirect(f"{reverse('admin:console_job_changelist')}#{job.pk}")

    @display(description=_("articles"), ordering="counted")
    def num_articles(self, collection: Any) -> int:
        return collection.counted

    @display(description=_("last change"), ordering="changed")
    def last_change(self, collection: Any) -> Any:
        return collection.changed

    @display(description=_("sites"))
    def shown_sites(self, collection: Collection) -> str:
        return ", ".join(site.name for site in collection.sites.all()) or "–"


def _collection(pk: int) -> Collection:
    try:
        return Collection.objects.get(pk=pk)
    except Collection.DoesNotExist:
        raise Http404 from None


@admin.register(Article)
class ArticleAdmin(StaffAdmin):
    """Articles follow their sources: what is edited here would be lost at the next reading, so nothing is."""

    list_display = ("title", "collection", "path", "locale", "updated_at")
    list_filter = (("collection", RelatedDropdownFilter), "locale")
    list_select_related = ("collection",)
    search_fields = ("title", "path", "markdown")
    ordering = ("collection", "path")
    fields = ("title", "collection", "path", "locale", "source_url", "updated_at", "shown_text")
    readonly_fields = fields

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Article | None = None) -> bool:
        return False

    def delete_model(self, request: HttpRequest, obj: Article) -> None:
        super().delete_model(request, obj)
        services.touch(obj.collection)

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Article]) -> None:
        collections = list(Collection.objects.filter(articles__in=queryset).distinct())
        super().delete_queryset(request, queryset)
        for collection in collections:
            services.touch(collection)

    @display(description=_("text"))
    def shown_text(self, article: Article) -> str:
        return format_html('<div class="pc-prose">{}</div>', mark_safe(render(article.markdown)))  # noqa: S308
