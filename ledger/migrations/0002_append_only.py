"""The log is append-only for every program that speaks SQL, ours included.

Rows are never deleted. What may change: an entry gets its index, once; a log's head moves forward,
and a log is frozen, once; a checkpoint is published, once. A checkpoint is larger than all before
it. Each function compares the whole row, so a column that is added later is protected too.
"""

from django.db import migrations

TABLES = ("entry", "payload", "subject", "checkpoint", "cosignature", "log")
FROZEN = ("payload", "subject", "cosignature")

REFUSE = """
CREATE FUNCTION ledger_refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% on % is refused: the log is append-only', TG_OP, TG_TABLE_NAME
        USING ERRCODE = 'integrity_constraint_violation';
END $$;
"""

ENTRY = """
CREATE FUNCTION ledger_entry_guard() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE probe ledger_entry;
BEGIN
    IF TG_OP = 'INSERT' THEN
        IF NEW.index IS NOT NULL THEN
            RAISE EXCEPTION 'an entry is born without an index'
                USING ERRCODE = 'integrity_constraint_violation';
        END IF;
        RETURN NEW;
    END IF;
    probe := NEW;
    probe.index := OLD.index;
    IF OLD.index IS NOT NULL OR NEW.index IS NULL OR probe IS DISTINCT FROM OLD THEN
        RAISE EXCEPTION 'an entry gets its index once and never changes'
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER ledger_entry_guard BEFORE INSERT OR UPDATE ON ledger_entry
    FOR EACH ROW EXECUTE FUNCTION ledger_entry_guard();
"""

LOG = """
CREATE FUNCTION ledger_log_guard() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE probe ledger_log;
BEGIN
    probe := NEW;
    probe.size := OLD.size;
    probe.root := OLD.root;
    probe.frozen_at := OLD.frozen_at;
    IF probe IS DISTINCT FROM OLD
        OR NEW.size < OLD.size
        OR (NEW.size = OLD.size AND NEW.root IS DISTINCT FROM OLD.root)
        OR (OLD.frozen_at IS NOT NULL AND NEW.frozen_at IS DISTINCT FROM OLD.frozen_at)
    THEN
        RAISE EXCEPTION 'a log only grows, and is frozen for good'
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER ledger_log_guard BEFORE UPDATE ON ledger_log
    FOR EACH ROW EXECUTE FUNCTION ledger_log_guard();
"""

CHECKPOINT = """
CREATE FUNCTION ledger_checkpoint_guard() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE probe ledger_checkpoint;
BEGIN
    IF TG_OP = 'INSERT' THEN
        IF EXISTS (SELECT 1 FROM ledger_checkpoint
                   WHERE log_id = NEW.log_id AND size > NEW.size) THEN
            RAISE EXCEPTION 'a larger checkpoint of this log was signed before'
                USING ERRCODE = 'integrity_constraint_violation';
        END IF;
        RETURN NEW;
    END IF;
    probe := NEW;
    probe.published_at := OLD.published_at;
    IF OLD.published_at IS NOT NULL OR NEW.published_at IS NULL OR probe IS DISTINCT FROM OLD THEN
        RAISE EXCEPTION 'a checkpoint is published once and never changes'
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER ledger_checkpoint_guard BEFORE INSERT OR UPDATE ON ledger_checkpoint
    FOR EACH ROW EXECUTE FUNCTION ledger_checkpoint_guard();
"""


def _guard(table, event, level):
    return (
        f"CREATE TRIGGER ledger_{table}_no_{event.lower()} BEFORE {event} ON ledger_{table} "
        f"FOR EACH {level} EXECUTE FUNCTION ledger_refuse();\n"
    )


SQL = REFUSE + ENTRY + LOG + CHECKPOINT
SQL += "".join(_guard(table, "DELETE", "ROW") for table in TABLES)
SQL += "".join(_guard(table, "TRUNCATE", "STATEMENT") for table in TABLES)
SQL += "".join(_guard(table, "UPDATE", "ROW") for table in FROZEN)


class Migration(migrations.Migration):
    dependencies = [("ledger", "0001_initial")]

    # There is no way back: a log without these is another log.
    operations = [migrations.RunSQL(SQL)]
