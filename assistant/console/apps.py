from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class ConsoleConfig(AppConfig):
    name = "assistant.console"
    verbose_name = _("Console")

    def ready(self) -> None:
        from assistant.console import audit

        audit.register()
