"""Is it alive, is it ready, and the numbers."""

from django.urls import path

from chatbot import health

urlpatterns = [
    path("health", health.alive, name="health"),
    path("health/ready", health.ready, name="health-ready"),
    path("metrics", health.metrics, name="metrics"),
]
