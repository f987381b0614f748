from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class AccountsConfig(AppConfig):
    name = "assistant.accounts"
    verbose_name = _("People")

    def ready(self) -> None:
        from django.db.models.signals import post_migrate

        from assistant.accounts import roles
        from assistant.accounts import signals as signals  # connected by being imported

        post_migrate.connect(roles.grant, dispatch_uid="parley.roles")
