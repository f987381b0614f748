"""The process's clients of the model and of the embeddings, from the settings."""

from __future__ import annotations

from functools import lru_cache

from django.conf import settings

from inference.serving.client import EngineClient


@lru_cache(maxsize=4)
def _client(address: str, api_key: str) -> EngineClient:
    return EngineClient(address, api_key)


def get_engine() -> EngineClient:
    """The upstream at ENGINE_URL, or the embedded engine."""
    if settings.ENGINE_URL:
        return _client(settings.ENGINE_URL, settings.ENGINE_API_KEY)
    return _client(f"unix:{settings.ENGINE_SOCKET}", "")


def get_embedder() -> EngineClient:
    """Embeddings always come from the embedded process, so that stored vectors stay comparable."""
    return _client(f"unix:{settings.EMBEDDINGS_SOCKET}", "")
