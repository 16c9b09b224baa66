"""The state table of an execution, held by the database against every program that speaks SQL.

    queued  -> running (attempts + 1), cancelled, timed_out
    running -> queued, succeeded, failed, timed_out, cancelled
    succeeded, failed, timed_out, cancelled: the end

What was asked never changes. The one thing that an ended row may still lose is its idempotency key,
when the key's time is over. A row that goes back to the queue keeps its count of attempts, or gives
one back when the executor never took it.
"""

from __future__ import annotations

from django.db import migrations

FORWARD = """
CREATE FUNCTION inference_execution_guard() RETURNS trigger LANGUAGE plpgsql AS $$
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

CREATE TRIGGER inference_execution_guard
    BEFORE INSERT OR UPDATE OR DELETE ON inference_execution
    FOR EACH ROW EXECUTE FUNCTION inference_execution_guard();
"""

BACKWARD = """
DROP TRIGGER inference_execution_guard ON inference_execution;
DROP FUNCTION inference_execution_guard();
"""


class Migration(migrations.Migration):
    dependencies = [("inference", "0001_initial")]
    operations = [migrations.RunSQL(FORWARD, BACKWARD)]
