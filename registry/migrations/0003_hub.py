"""The Hugging Face Hub surface: refs, tombstones, Xet pieces, counted downloads."""

import django.db.models.deletion
import uuid
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('registry', '0002_immutable'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name='DownloadSeen',
            fields=[
                ('key', models.CharField(max_length=64, primary_key=True, serialize=False)),
                ('day', models.DateField(db_index=True)),
            ],
        ),
        migrations.AddField(
            model_name='model',
            name='deleted_at',
            field=models.DateTimeField(blank=True, help_text='a tombstone: the name is never given out again', null=True),
        ),
        migrations.CreateModel(
            name='XetSpace',
            fields=[
                ('id', models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ('epoch', models.IntegerField(default=1)),
                ('model', models.OneToOneField(on_delete=django.db.models.deletion.CASCADE, related_name='xet_space', to='registry.model')),
            ],
        ),
        migrations.CreateModel(
            name='Xorb',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('hash', models.CharField(max_length=64)),
                ('lengths', models.BinaryField()),
                ('size', models.BigIntegerField()),
                ('spool', models.CharField(blank=True, max_length=100)),
                ('user_id', models.BigIntegerField(help_text='whose quota the waiting bytes count against')),
                ('created_at', models.DateTimeField(auto_now_add=True)),
                ('space', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='xorbs', to='registry.xetspace')),
            ],
        ),
        migrations.CreateModel(
            name='XorbRange',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('first', models.IntegerField()),
                ('end', models.IntegerField()),
                ('offset', models.BigIntegerField()),
                ('blob', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='+', to='registry.blob')),
                ('xorb', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='ranges', to='registry.xorb')),
            ],
        ),
        migrations.CreateModel(
            name='DownloadCount',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('day', models.DateField()),
                ('count', models.BigIntegerField(default=0)),
                ('model', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='download_counts', to='registry.model')),
            ],
            options={
                'constraints': [models.UniqueConstraint(fields=('model', 'day'), name='download_count_unique')],
            },
        ),
        migrations.CreateModel(
            name='Ref',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('kind', models.CharField(choices=[('branch', 'branch'), ('tag', 'tag')], max_length=8)),
                ('name', models.CharField(max_length=250)),
                ('message', models.CharField(blank=True, max_length=500)),
                ('created_at', models.DateTimeField(auto_now_add=True)),
                ('author', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, to=settings.AUTH_USER_MODEL)),
                ('model', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='refs', to='registry.model')),
                ('revision', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='registry.revision')),
            ],
            options={
                'constraints': [models.UniqueConstraint(fields=('model', 'kind', 'name'), name='ref_name_unique')],
            },
        ),
        migrations.AddIndex(
            model_name='xorb',
            index=models.Index(condition=models.Q(('spool', ''), _negated=True), fields=['created_at'], name='xorb_waiting'),
        ),
        migrations.AddIndex(
            model_name='xorb',
            index=models.Index(condition=models.Q(('spool', ''), _negated=True), fields=['user_id'], name='xorb_waiting_of'),
        ),
        migrations.AddConstraint(
            model_name='xorb',
            constraint=models.UniqueConstraint(fields=('space', 'hash'), name='xorb_unique'),
        ),
    ]
