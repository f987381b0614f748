"""Addresses of websockets."""

from typing import Any

from django.urls import path

from assistant.conversations.consumer import ChatConsumer

websocket_urlpatterns: list[Any] = [path("ws/chat/", ChatConsumer.as_asgi())]
