"""Addresses of the pages that hold the chat and of what a foreign page loads."""

from django.urls import URLPattern, URLResolver, path

from assistant.widget import views

urlpatterns: list[URLPattern | URLResolver] = [
    path("", views.landing, name="landing"),
    path("demo/", views.demo, name="demo"),
    path("chat/", views.chat, name="chat"),
    path("chat/<uuid:conversation_id>/", views.chat, name="chat-conversation"),
    path("widget.js", views.loader, name="widget-loader"),
    path("widget/frame/<slug:slug>/", views.frame, name="widget-frame"),
    path("widget/config/<slug:slug>.json", views.config, name="widget-config"),
]
