"""No addresses of its own: sign-in is allauth's, under /accounts/, and visitors are in the API."""

from django.urls import URLPattern, URLResolver

urlpatterns: list[URLPattern | URLResolver] = []
