"""Private executions, results that are kept and expire, and turns among callers.

The state table of 0002 stays. What an ended row may still lose or gain: its idempotency key (to
NULL); the instant until which its tensors are kept; the tensors themselves (`dropped_at`, once, and
the salts with them); and, when it is private, its disclosure, which is for ever.

`inference_turns_<kind>` holds the share that was served last (`services.queue`): a sequence,
because a turn needs no transaction and no row lock.
"""

from __future__ import annotations

import django.db.models.functions.comparison
from django.db import migrations, models

GUARD = """
CREATE OR REPLACE FUNCTION inference_execution_guard() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    ended CONSTANT text[] := ARRAY['succeeded', 'failed', 'timed_out', 'cancelled'];
    loose CONSTANT text[] :=
        ARRAY['idempotency_key', 'keep_until', 'dropped_at', 'salts', 'disclosed_at'];
    fault text := NULL;
BEGIN
    IF TG_OP = 'DELETE' THEN
        fault := 'an execution is never deleted';
    ELSIF TG_OP = 'INSERT' THEN
        IF NEW.state = 'cancelled' THEN
            fault := 'an execution is not born cancelled';
        END IF;
    ELSIF OLD.state = ANY (ended) THEN
        IF to_jsonb(NEW) - loose <> to_jsonb(OLD) - loose
           OR NEW.idempotency_key IS NOT NULL
              AND NEW.idempotency_key IS DISTINCT FROM OLD.idempotency_key THEN
            fault := format('%s is the end', OLD.state);
        ELSIF OLD.dropped_at IS NOT NULL AND NEW.dropped_at IS DISTINCT FROM OLD.dropped_at THEN
            fault := 'what was dropped does not come back';
        ELSIF OLD.disclosed_at IS NOT NULL
              AND (NEW.disclosed_at, NEW.salts) IS DISTINCT FROM (OLD.disclosed_at, OLD.salts) THEN
            fault := 'what was disclosed stays disclosed';
        ELSIF NEW.salts IS NOT NULL AND NEW.salts IS DISTINCT FROM OLD.salts
              AND NEW.disclosed_at IS NULL THEN
            fault := 'salts come with the outcome, or with a disclosure';
        END IF;
    ELSIF (NEW.id, NEW.caller_id, NEW.request_digest, NEW.revision_id, NEW.model_name,
           NEW.manifest, NEW.graph_path, NEW.executor_kind, NEW.requested_outputs, NEW.input_id,
           NEW.retry_of_id, NEW.max_attempts, NEW.deadline, NEW.created_at, NEW.private)
          IS DISTINCT FROM
          (OLD.id, OLD.caller_id, OLD.request_digest, OLD.revision_id, OLD.model_name,
           OLD.manifest, OLD.graph_path, OLD.executor_kind, OLD.requested_outputs, OLD.input_id,
           OLD.retry_of_id, OLD.max_attempts, OLD.deadline, OLD.created_at, OLD.private) THEN
        fault := 'what was asked does not change';
    ELSIF NEW.idempotency_key IS NOT NULL
          AND NEW.idempotency_key IS DISTINCT FROM OLD.idempotency_key THEN
        fault := 'an idempotency key does not change';
    ELSIF OLD.state = 'queued' THEN
        IF NEW.state NOT IN ('queued', 'running', 'cancelled', 'timed_out') THEN
            fault := format('queued cannot become %s', NEW.state);
        ELSIF NEW.attempts <> OLD.attempts + (NEW.state = 'running')::int THEN
            fault := 'attempts count the claims';
        ELSIF NEW.state = 'running' AND (NEW.lease IS NULL OR NEW.lease = OLD.lease) THEN
            fault := 'each claim has a lease of its own';
        END IF;
    ELSE
        IF NEW.lease IS DISTINCT FROM OLD.lease THEN
            fault := 'the lease belongs to its holder';
        ELSIF NEW.attempts <> OLD.attempts
              AND NOT (NEW.state = 'queued' AND NEW.attempts = OLD.attempts - 1) THEN
            fault := 'attempts count the claims';
        END IF;
    END IF;
    IF fault IS NOT NULL THEN
        RAISE EXCEPTION 'inference_execution: %', fault USING ERRCODE = 'check_violation';
    END IF;
    RETURN NEW;
END $$;
"""
GUARD_BEFORE = """
CREATE OR REPLACE FUNCTION inference_execution_guard() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    ended CONSTANT text[] := ARRAY['succeeded', 'failed', 'timed_out', 'cancelled'];
    fault text := NULL;
BEGIN
    IF TG_OP = 'DELETE' THEN
        fault := 'an execution is never deleted';
    ELSIF TG_OP = 'INSERT' THEN
        IF NEW.state = 'cancelled' THEN
            fault := 'an execution is not born cancelled';
        END IF;
    ELSIF OLD.state = ANY (ended) THEN
        IF to_jsonb(NEW) - 'idempotency_key' <> to_jsonb(OLD) - 'idempotency_key'
           OR NEW.idempotency_key IS NOT NULL
              AND NEW.idempotency_key IS DISTINCT FROM OLD.idempotency_key THEN
            fault := format('%s is the end', OLD.state);
        END IF;
    ELSIF (NEW.id, NEW.caller_id, NEW.request_digest, NEW.revision_id, NEW.model_name,
           NEW.manifest, NEW.graph_path, NEW.executor_kind, NEW.requested_outputs, NEW.input_id,
           NEW.retry_of_id, NEW.max_attempts, NEW.deadline, NEW.created_at)
          IS DISTINCT FROM
          (OLD.id, OLD.caller_id, OLD.request_digest, OLD.revision_id, OLD.model_name,
           OLD.manifest, OLD.graph_path, OLD.executor_kind, OLD.requested_outputs, OLD.input_id,
           OLD.retry_of_id, OLD.max_attempts, OLD.deadline, OLD.created_at) THEN
        fault := 'what was asked does not change';
    ELSIF NEW.idempotency_key IS NOT NULL
          AND NEW.idempotency_key IS DISTINCT FROM OLD.idempotency_key THEN
        fault := 'an idempotency key does not change';
    ELSIF OLD.state = 'queued' THEN
        IF NEW.state NOT IN ('queued', 'running', 'cancelled', 'timed_out') THEN
            fault := format('queued cannot become %s', NEW.state);
        ELSIF NEW.attempts <> OLD.attempts + (NEW.state = 'running')::int THEN
            fault := 'attempts count the claims';
        ELSIF NEW.state = 'running' AND (NEW.lease IS NULL OR NEW.lease = OLD.lease) THEN
            fault := 'each claim has a lease of its own';
        END IF;
    ELSE
        IF NEW.lease IS DISTINCT FROM OLD.lease THEN
            fault := 'the lease belongs to its holder';
        ELSIF NEW.attempts <> OLD.attempts
              AND NOT (NEW.state = 'queued' AND NEW.attempts = OLD.attempts - 1) THEN
            fault := 'attempts count the claims';
        END IF;
    END IF;
    IF fault IS NOT NULL THEN
        RAISE EXCEPTION 'inference_execution: %', fault USING ERRCODE = 'check_violation';
    END IF;
    RETURN NEW;
END $$;
"""
TURNS = """
CREATE SEQUENCE inference_turns_portable MINVALUE 0 START 0;
CREATE SEQUENCE inference_turns_native MINVALUE 0 START 0;
"""
TURNS_BACK = """
DROP SEQUENCE inference_turns_portable;
DROP SEQUENCE inference_turns_native;
"""


class Migration(migrations.Migration):

    dependencies = [
        ('inference', '0003_batches'),
    ]

    operations = [
        migrations.AddField(
            model_name='execution',
            name='cold',
            field=models.BooleanField(blank=True, help_text='the model was loaded for it', null=True),
        ),
        migrations.AddField(
            model_name='execution',
            name='disclosed_at',
            field=models.DateTimeField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name='execution',
            name='dropped_at',
            field=models.DateTimeField(blank=True, help_text='the tensors are gone', null=True),
        ),
        migrations.AddField(
            model_name='execution',
            name='keep_until',
            field=models.DateTimeField(blank=True, help_text='null: as policy says', null=True),
        ),
        migrations.AddField(
            model_name='execution',
            name='private',
            field=models.BooleanField(default=False, help_text='the statement holds commitments'),
        ),
        migrations.AddField(
            model_name='execution',
            name='queue_ms',
            field=models.FloatField(blank=True, help_text='waited for a model process', null=True),
        ),
        migrations.AddField(
            model_name='execution',
            name='salts',
            field=models.JSONField(blank=True, help_text='hex, while the tensors are kept', null=True),
        ),
        migrations.AddField(
            model_name='execution',
            name='keep_s',
            field=models.PositiveIntegerField(blank=True, help_text='asked for, in seconds', null=True),
        ),
        migrations.AddField(
            model_name='tensors',
            name='dropped_at',
            field=models.DateTimeField(blank=True, help_text='the bytes are gone', null=True),
        ),
        migrations.AddField(
            model_name='tensors',
            name='salted',
            field=models.BooleanField(default=False),
        ),
        migrations.AddIndex(
            model_name='tensors',
            index=models.Index(condition=models.Q(('dropped_at__isnull', False), ('inline__isnull', True)), fields=['dropped_at'], name='tensors_to_delete'),
        ),
        migrations.RemoveIndex(
            model_name='execution',
            name='execution_queued',
        ),
        migrations.AddIndex(
            model_name='execution',
            index=models.Index(models.F('executor_kind'), django.db.models.functions.comparison.Coalesce(models.F('caller'), models.Value(0), output_field=models.IntegerField()), models.F('priority'), models.F('available_at'), models.F('id'), condition=models.Q(('state', 'queued')), name='execution_turns'),
        ),
        migrations.AddIndex(
            model_name='execution',
            index=models.Index(condition=models.Q(('error_code', 'worker_lost')), fields=['-finished_at'], name='execution_lost'),
        ),
        migrations.AddIndex(
            model_name='execution',
            index=models.Index(condition=models.Q(('dropped_at__isnull', True), ('keep_until__isnull', False)), fields=['keep_until'], name='execution_kept_until'),
        ),
        migrations.AddIndex(
            model_name='execution',
            index=models.Index(condition=models.Q(('dropped_at__isnull', True), ('keep_until__isnull', True)), fields=['finished_at'], name='execution_kept'),
        ),
        migrations.AddConstraint(
            model_name='execution',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('disclosed_at__isnull', True), ('private', False), ('salts__isnull', True)), models.Q(('caller__isnull', False), ('private', True)), _connector='OR'), name='execution_private_has_caller'),
        ),
        migrations.AddConstraint(
            model_name='execution',
            constraint=models.CheckConstraint(condition=models.Q(('dropped_at__isnull', True), ('finished_at__isnull', False), _connector='OR'), name='execution_dropped_has_end'),
        ),
        migrations.RunSQL(GUARD, GUARD_BEFORE),
        migrations.RunSQL(TURNS, TURNS_BACK),
    ]
