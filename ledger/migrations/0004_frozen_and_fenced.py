"""A frozen log takes no entry, whoever asks; a log's term only rises; who owns the earlier entries, and
whose key signed the earlier cosignatures.

The check of a new entry locks the log's row as its foreign key does, so it waits for a freeze that
is under way, and a freeze (`SELECT … FOR UPDATE`) waits for entries that are being written: none
slips in behind the last checkpoint. Where a log is reached may change until it is frozen: then its
address is what receipts and trusted roots go on naming.
"""

from django.db import migrations

ENTRY = """
CREATE FUNCTION ledger_entry_open() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM 1 FROM ledger_log WHERE id = NEW.log_id AND frozen_at IS NULL FOR KEY SHARE;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'the log is frozen' USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER ledger_entry_open BEFORE INSERT ON ledger_entry
    FOR EACH ROW EXECUTE FUNCTION ledger_entry_open();
"""

LOG = """
CREATE OR REPLACE FUNCTION ledger_log_guard() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE probe ledger_log;
BEGIN
    probe := NEW;
    probe.size := OLD.size;
    probe.root := OLD.root;
    probe.term := OLD.term;
    probe.frozen_at := OLD.frozen_at;
    IF OLD.successor = '' THEN
        probe.successor := '';
    END IF;
    IF OLD.frozen_at IS NULL THEN
        probe.url := OLD.url;
    END IF;
    IF probe IS DISTINCT FROM OLD
        OR NEW.size < OLD.size
        OR NEW.term < OLD.term
        OR (NEW.size = OLD.size AND NEW.root IS DISTINCT FROM OLD.root)
        OR (NEW.successor <> '' AND NEW.frozen_at IS NULL)
        OR (OLD.frozen_at IS NOT NULL AND NEW.frozen_at IS DISTINCT FROM OLD.frozen_at)
    THEN
        RAISE EXCEPTION 'a log only grows, and is frozen for good'
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NEW;
END $$;
"""

OWNERS = """
ALTER TABLE ledger_entry DISABLE TRIGGER ledger_entry_guard;
UPDATE ledger_entry SET owner = split_part(model, '/', 1) WHERE model <> '';
UPDATE ledger_entry AS entry
    SET owner = left(convert_from(payload.payload, 'UTF8')::jsonb #>> '{predicate,owner}', 100)
    FROM ledger_payload AS payload
    WHERE payload.pae_sha256 = entry.payload_id AND entry.kind = 'key' AND entry.owner = '';
ALTER TABLE ledger_entry ENABLE TRIGGER ledger_entry_guard;
"""

# A line is a dash, the witness's name, and base64 of a key id of four bytes and what it signed.
KEY_IDS = """
ALTER TABLE ledger_cosignature DISABLE TRIGGER ledger_cosignature_no_update;
UPDATE ledger_cosignature
    SET key_id = encode(substring(decode(split_part(line, ' ', 3), 'base64') for 4), 'hex');
ALTER TABLE ledger_cosignature ENABLE TRIGGER ledger_cosignature_no_update;
"""


class Migration(migrations.Migration):
    dependencies = [("ledger", "0003_search_leaders_and_staging")]
    operations = [
        migrations.RunSQL(ENTRY + LOG),
        migrations.RunSQL(OWNERS),
        migrations.RunSQL(KEY_IDS),
    ]
