"""Addresses of visitor identity. Sign-in and its like are allauth's, under /accounts/."""

from django.urls import URLPattern, URLResolver, path
from ninja import NinjaAPI

from assistant.accounts.api import router

api = NinjaAPI(title="Parley: visitors", urls_namespace="visitors", docs_url=None, openapi_url=None)
api.add_router("/visitor", router)

urlpatterns: list[URLPattern | URLResolver] = [path("api/", api.urls)]
