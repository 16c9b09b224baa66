"""Replays, and the rounds that draw which executions the registry's own auditor replays.

What is done is signed and logged: triggers let neither a done replay nor a round change or go.
"""

from __future__ import annotations

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models

import inference.ids

GUARD = """
CREATE FUNCTION inference_replay_guard() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    fault text := NULL;
BEGIN
    IF TG_OP = 'DELETE' THEN
        fault := 'a replay is never deleted';
    ELSIF OLD.state = 'done' THEN
        fault := 'done is the end';
    ELSIF (NEW.id, NEW.execution_id, NEW.source, NEW.requested_by_id, NEW.created_at)
          IS DISTINCT FROM
          (OLD.id, OLD.execution_id, OLD.source, OLD.requested_by_id, OLD.created_at) THEN
        fault := 'what was asked does not change';
    ELSIF OLD.round_id IS NOT NULL AND NEW.round_id IS DISTINCT FROM OLD.round_id THEN
        fault := 'a lot that fell has fallen';
    END IF;
    IF fault IS NOT NULL THEN
        RAISE EXCEPTION 'inference_replay: %', fault USING ERRCODE = 'check_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER inference_replay_guard BEFORE UPDATE OR DELETE ON inference_replay
    FOR EACH ROW EXECUTE FUNCTION inference_replay_guard();
CREATE FUNCTION inference_auditround_guard() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'inference_auditround: a round never changes'
        USING ERRCODE = 'check_violation';
END $$;
CREATE TRIGGER inference_auditround_guard BEFORE UPDATE OR DELETE ON inference_auditround
    FOR EACH ROW EXECUTE FUNCTION inference_auditround_guard();
"""
GUARD_BACK = """
DROP TRIGGER inference_replay_guard ON inference_replay;
DROP FUNCTION inference_replay_guard();
DROP TRIGGER inference_auditround_guard ON inference_auditround;
DROP FUNCTION inference_auditround_guard();
"""


class Migration(migrations.Migration):

    dependencies = [
        ('inference', '0006_schedules'),
        ('ledger', '0004_frozen_and_fenced'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name='AuditRound',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('origin', models.CharField(max_length=253)),
                ('start', models.BigIntegerField()),
                ('end', models.BigIntegerField()),
                ('seed_size', models.BigIntegerField()),
                ('seed_at', models.DateTimeField()),
                ('note', models.BinaryField()),
                ('seed', models.CharField(max_length=64)),
                ('rate', models.IntegerField()),
                ('executions', models.IntegerField()),
                ('sampled', models.IntegerField()),
                ('created_at', models.DateTimeField(auto_now_add=True)),
            ],
            options={
                'constraints': [models.UniqueConstraint(fields=('origin', 'start'), name='audit_round_once'), models.CheckConstraint(condition=models.Q(('end__gt', models.F('start')), ('start__gte', 0), ('seed_size__gt', models.F('end'))), name='audit_round_in_order')],
            },
        ),
        migrations.CreateModel(
            name='Replay',
            fields=[
                ('id', models.UUIDField(default=inference.ids.uuid7, editable=False, primary_key=True, serialize=False)),
                ('source', models.CharField(choices=[('sample', 'drawn by lot'), ('request', 'asked for'), ('submitted', 'handed in')], max_length=16)),
                ('state', models.CharField(choices=[('requested', 'requested'), ('running', 'running'), ('done', 'done')], default='requested', max_length=16)),
                ('available_at', models.DateTimeField()),
                ('attempts', models.SmallIntegerField(default=0)),
                ('lease', models.UUIDField(blank=True, null=True)),
                ('lease_until', models.DateTimeField(blank=True, null=True)),
                ('auditor', models.CharField(blank=True, help_text='fingerprint of its key', max_length=64)),
                ('verdict', models.CharField(blank=True, choices=[('exact', 'exact'), ('close', 'close'), ('diverged', 'diverged'), ('unrunnable', 'unrunnable')], max_length=16)),
                ('runtime', models.JSONField(blank=True, null=True)),
                ('output_digest', models.CharField(blank=True, max_length=64)),
                ('first_divergence', models.TextField(blank=True)),
                ('reason', models.TextField(blank=True)),
                ('created_at', models.DateTimeField(auto_now_add=True)),
                ('finished_at', models.DateTimeField(blank=True, null=True)),
                ('entry', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='ledger.entry')),
                ('execution', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='replays', to='inference.execution')),
                ('requested_by', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('round', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='replays', to='inference.auditround')),
            ],
            options={
                'indexes': [models.Index(fields=['execution', 'id'], name='replay_of_execution'), models.Index(condition=models.Q(('state', 'done'), _negated=True), fields=['available_at'], name='replay_waiting'), models.Index(condition=models.Q(('verdict', 'diverged')), fields=['-finished_at'], name='replay_diverged')],
                'constraints': [models.CheckConstraint(condition=models.Q(models.Q(('lease_until__isnull', False), ('state', 'running')), models.Q(models.Q(('state', 'running'), _negated=True), ('lease_until__isnull', True)), _connector='OR'), name='replay_running_has_lease'), models.CheckConstraint(condition=models.Q(models.Q(('entry__isnull', False), ('finished_at__isnull', False), ('state', 'done'), models.Q(('verdict', ''), _negated=True), models.Q(('auditor', ''), _negated=True)), models.Q(models.Q(('state', 'done'), _negated=True), ('entry__isnull', True), ('finished_at__isnull', True), ('verdict', '')), _connector='OR'), name='replay_done_is_logged'), models.UniqueConstraint(condition=models.Q(('state', 'done'), _negated=True), fields=('execution',), name='replay_one_pending')],
            },
        ),
        migrations.RunSQL(GUARD, GUARD_BACK),
    ]
