from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class ResponseCacheConfig(AppConfig):
    name = "assistant.response_cache"
    verbose_name = _("Response cache")
