import django.db.models.deletion
import inference.ids
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('inference', '0007_replays'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name='Trace',
            fields=[
                ('id', models.UUIDField(default=inference.ids.uuid7, editable=False, primary_key=True, serialize=False)),
                ('state', models.CharField(choices=[('queued', 'queued'), ('running', 'running'), ('done', 'done'), ('failed', 'failed')], default='queued', max_length=16)),
                ('available_at', models.DateTimeField()),
                ('attempts', models.SmallIntegerField(default=0)),
                ('lease', models.UUIDField(blank=True, null=True)),
                ('lease_until', models.DateTimeField(blank=True, null=True)),
                ('executor', models.CharField(blank=True, help_text='fingerprint of its key', max_length=64)),
                ('runtime', models.JSONField(blank=True, null=True)),
                ('digest', models.CharField(blank=True, max_length=64)),
                ('nodes', models.IntegerField(blank=True, null=True)),
                ('data', models.BinaryField(blank=True, null=True)),
                ('verdict', models.CharField(blank=True, choices=[('exact', 'exact'), ('close', 'close'), ('diverged', 'diverged'), ('unrunnable', 'unrunnable')], max_length=16)),
                ('detail', models.TextField(blank=True)),
                ('error_code', models.CharField(blank=True, max_length=32)),
                ('error_message', models.TextField(blank=True)),
                ('created_at', models.DateTimeField(auto_now_add=True)),
                ('finished_at', models.DateTimeField(blank=True, null=True)),
                ('execution', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='traces', to='inference.execution')),
                ('requested_by', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
            ],
            options={
                'indexes': [models.Index(fields=['execution', 'id'], name='trace_of_execution'), models.Index(condition=models.Q(('state__in', ('done', 'failed')), _negated=True), fields=['available_at'], name='trace_waiting')],
                'constraints': [models.CheckConstraint(condition=models.Q(models.Q(('lease_until__isnull', False), ('state', 'running')), models.Q(models.Q(('state', 'running'), _negated=True), ('lease_until__isnull', True)), _connector='OR'), name='trace_running_has_lease'), models.CheckConstraint(condition=models.Q(models.Q(('finished_at__isnull', False), ('state__in', ('done', 'failed'))), models.Q(models.Q(('state__in', ('done', 'failed')), _negated=True), ('finished_at__isnull', True)), _connector='OR'), name='trace_ended_has_end'), models.CheckConstraint(condition=models.Q(models.Q(('state', 'done'), models.Q(('digest', ''), _negated=True)), models.Q(models.Q(('state', 'done'), _negated=True), ('data__isnull', True), ('digest', '')), _connector='OR'), name='trace_done_has_digest'), models.UniqueConstraint(condition=models.Q(('state__in', ('done', 'failed')), _negated=True), fields=('execution',), name='trace_one_pending')],
            },
        ),
    ]
