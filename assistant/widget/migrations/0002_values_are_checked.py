import django.core.validators
from django.db import migrations, models

import assistant.widget.origins


class Migration(migrations.Migration):
    dependencies = [("widget", "0001_initial")]

    operations = [
        migrations.AlterField(
            model_name="site",
            name="allowed_origins",
            field=models.JSONField(
                blank=True,
                default=list,
                help_text='origins that may embed the widget, e.g. ["https://shop.example"]',
                validators=[assistant.widget.origins.validate_origins],
            ),
        ),
        migrations.AlterField(
            model_name="site",
            name="color",
            field=models.CharField(
                default="#3b5bdb",
                max_length=7,
                validators=[django.core.validators.RegexValidator("^#[0-9a-fA-F]{6}\\Z")],
            ),
        ),
    ]
