"""The full-text index, in the words of the database at hand."""

from django.db import migrations
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.state import StateApps

from assistant.knowledge import fulltext


def install(apps: StateApps, editor: BaseDatabaseSchemaEditor) -> None:
    is_postgres = editor.connection.vendor == "postgresql"
    for statement in fulltext.POSTGRES_INSTALL if is_postgres else fulltext.SQLITE_INSTALL:
        editor.execute(statement)


def remove(apps: StateApps, editor: BaseDatabaseSchemaEditor) -> None:
    is_postgres = editor.connection.vendor == "postgresql"
    for statement in fulltext.POSTGRES_REMOVE if is_postgres else fulltext.SQLITE_REMOVE:
        editor.execute(statement)


class Migration(migrations.Migration):
    dependencies = [("knowledge", "0002_terms_and_source")]
    operations = [migrations.RunPython(install, remove)]
