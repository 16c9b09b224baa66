from __future__ import annotations

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    """Webhooks that tell of an owner's changes."""

    dependencies = [
        ("inference", "0009_determinism"),
        ("registry", "0010_watch"),
    ]

    operations = [
        migrations.AddField(
            model_name="hook",
            name="watch",
            field=models.OneToOneField(
                blank=True,
                help_text="whose changes it tells of; empty: what `owner` names it for",
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="hook",
                to="registry.watch",
            ),
        ),
    ]
