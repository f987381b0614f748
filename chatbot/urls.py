"""Every address. Each app brings its own list; this file only says where it hangs."""

from django.contrib import admin
from django.urls import include, path

urlpatterns = [
    path("accounts/", include("allauth.urls")),
    path("console/", admin.site.urls),
    path("i18n/", include("django.conf.urls.i18n")),
    path("", include("chatbot.health_urls")),
    path("", include("assistant.accounts.urls")),
    path("", include("assistant.conversations.urls")),
    path("", include("assistant.knowledge.urls")),
    path("", include("assistant.widget.urls")),
]
