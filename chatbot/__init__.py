"""The Django project: settings, addresses, processes. No business logic."""

from chatbot.celery import app as celery_app

__all__ = ["celery_app"]
