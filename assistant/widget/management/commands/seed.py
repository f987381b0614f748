"""`manage.py seed`: the demo site and the first staff account. Safe to repeat; nothing is overwritten."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.core.validators import validate_email

from assistant.accounts.staff import create_first_staff
from assistant.knowledge.models import Collection
from assistant.widget.services import create_demo_site

DEMO_COLLECTION = "parley-docs"


class Command(BaseCommand):
    help = "Create the demo site and, with --staff-email, the first staff account."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--staff-email", default="", help="sign-in of the first staff account")

    def handle(self, *args: Any, staff_email: str, **options: Any) -> None:
        site, is_new = create_demo_site()
        self.stdout.write(f"Site {site.slug}: {'made' if is_new else 'there already'}.")
        site.collections.add(*Collection.objects.filter(slug=DEMO_COLLECTION))
        if staff_email:
            self._create_staff(staff_email)

    def _create_staff(self, email: str) -> None:
        try:
            validate_email(email)
        except ValidationError:
            raise CommandError(f"--staff-email {email!r} is not an e-mail address.") from None
        password = create_first_staff(email=email)
        if password is None:
            self.stdout.write("Staff account: there already.")
        else:
            self.stdout.write(f"Staff account {email}, password {password} (shown only now).")
