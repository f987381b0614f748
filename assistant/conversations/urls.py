"""Addresses of one's own conversations, and of programs."""

from django.urls import URLPattern, URLResolver, path

from assistant.conversations import openai_api
from assistant.conversations.api import api

urlpatterns: list[URLPattern | URLResolver] = [
    path("api/", api.urls),
    path("v1/chat/completions", openai_api.chat_completions),
    path("v1/models", openai_api.models),
    path("v1/embeddings", openai_api.embeddings),
]
