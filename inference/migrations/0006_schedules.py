import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models

import inference.ids


class Migration(migrations.Migration):

    dependencies = [
        ('inference', '0005_hooks'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name='Schedule',
            fields=[
                ('id', models.UUIDField(default=inference.ids.uuid7, editable=False, primary_key=True, serialize=False)),
                ('model_name', models.CharField(help_text='owner/name', max_length=200)),
                ('version', models.CharField(blank=True, help_text='empty: the default one, each time', max_length=100)),
                ('requested_outputs', models.JSONField(blank=True, null=True)),
                ('executor_kind', models.CharField(choices=[('portable', 'portable'), ('native', 'native')], max_length=16)),
                ('cron', models.CharField(blank=True, max_length=100)),
                ('interval_s', models.IntegerField(blank=True, null=True)),
                ('timezone', models.CharField(default='UTC', max_length=32)),
                ('next_at', models.DateTimeField()),
                ('last_fired_at', models.DateTimeField(blank=True, null=True)),
                ('paused_at', models.DateTimeField(blank=True, null=True)),
                ('paused_reason', models.CharField(blank=True, max_length=300)),
                ('stopped_at', models.DateTimeField(blank=True, null=True)),
                ('created_at', models.DateTimeField(auto_now_add=True)),
                ('hook', models.ForeignKey(blank=True, db_index=False, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='inference.hook')),
                ('input', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='inference.tensors')),
                ('owner', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='schedules', to=settings.AUTH_USER_MODEL)),
            ],
        ),
        migrations.CreateModel(
            name='Fire',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('at', models.DateTimeField()),
                ('execution', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='inference.execution')),
                ('schedule', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='fires', to='inference.schedule')),
            ],
        ),
        migrations.AddIndex(
            model_name='schedule',
            index=models.Index(condition=models.Q(('paused_at__isnull', True), ('stopped_at__isnull', True)), fields=['next_at'], name='schedule_due'),
        ),
        migrations.AddConstraint(
            model_name='schedule',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('cron', ''), ('interval_s__gte', 60), ('interval_s__isnull', False)), models.Q(models.Q(('cron', ''), _negated=True), ('interval_s__isnull', True)), _connector='OR'), name='schedule_cron_or_interval'),
        ),
        migrations.AddConstraint(
            model_name='schedule',
            constraint=models.CheckConstraint(condition=models.Q(('timezone', 'UTC')), name='schedule_in_utc'),
        ),
        migrations.AddConstraint(
            model_name='fire',
            constraint=models.UniqueConstraint(fields=('schedule', 'at'), name='fire_once'),
        ),
    ]

