from django.urls import URLPattern, URLResolver, path

from assistant.knowledge import views

urlpatterns: list[URLPattern | URLResolver] = [
    path("a/<slug:collection>/<path:path>", views.article, name="article"),
]
