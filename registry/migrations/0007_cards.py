"""Lineage: which cards name a model as their base, found without reading every card.

The index is over the values of `base_model` in those cards that have one, in the form that asks
"does it hold this name?". It is no part of Django's state of the model: nothing but a query knows
of it.
"""

from __future__ import annotations

from django.db import migrations

CREATE = """
CREATE INDEX revision_base_model ON registry_revision
    USING gin ((card_metadata -> 'base_model') jsonb_path_ops)
    WHERE card_metadata ? 'base_model';
"""


class Migration(migrations.Migration):
    dependencies = [("registry", "0006_keys")]
    operations = [
        migrations.RunSQL(CREATE, "DROP INDEX revision_base_model;"),
    ]
