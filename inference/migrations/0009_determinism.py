"""What was found when each release was run several times on one input."""

from __future__ import annotations

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('inference', '0008_traces'),
        ('registry', '0002_immutable'),
    ]

    operations = [
        migrations.CreateModel(
            name='DeterminismCheck',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('kind', models.CharField(choices=[('portable', 'portable'), ('native', 'native')], max_length=16)),
                ('runtime', models.JSONField(blank=True, null=True)),
                ('input_source', models.CharField(choices=[('declared', 'the example in the card'), ('generated', 'an input generated from the schema')], max_length=16)),
                ('input_digest', models.CharField(blank=True, max_length=64)),
                ('runs', models.SmallIntegerField(default=0)),
                ('equal', models.BooleanField(blank=True, null=True)),
                ('digests', models.JSONField(default=list)),
                ('reason', models.TextField(blank=True)),
                ('checked_at', models.DateTimeField(auto_now_add=True)),
                ('revision', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='registry.revision')),
            ],
            options={
                'constraints': [models.UniqueConstraint(fields=('revision', 'kind'), name='determinism_once'), models.CheckConstraint(condition=models.Q(('equal__isnull', True), ('runs__gt', 1), _connector='OR'), name='determinism_has_runs')],
            },
        ),
    ]
