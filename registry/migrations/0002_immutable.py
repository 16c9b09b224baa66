"""The database itself keeps what is written: no program that speaks SQL can change history.

Row triggers refuse deletes, and updates of every column but those that a life has (a revision is
inspected, a release withdrawn, a key revoked). TRUNCATE stays allowed: it is the tests' way to
empty a database, and needs the right of the tables' owner.
"""

from __future__ import annotations

from django.db import migrations

# Table: the columns that may change.
MUTABLE = {
    "registry_revision": ("state", "report", "graph_path", "inspected_at"),
    "registry_revisionfile": (),
    "registry_release": ("yanked_at", "yank_reason"),
    "registry_claim": (),
    "registry_aliasmove": (),
    "registry_key": ("state", "revocation_id", "name", "last_used_at"),
    "registry_auditevent": (),
    "registry_reservedname": (),
}
FUNCTION = """
CREATE FUNCTION registry_immutable() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'UPDATE' AND to_jsonb(NEW) - TG_ARGV = to_jsonb(OLD) - TG_ARGV THEN
        RETURN NEW;
    END IF;
    RAISE EXCEPTION '% of % is refused: its rows are history', TG_OP, TG_TABLE_NAME
        USING ERRCODE = 'integrity_constraint_violation';
END $$;
CREATE FUNCTION registry_one_way() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_TABLE_NAME = 'registry_key' THEN
        IF OLD.state = 'revoked' AND (NEW.state, NEW.revocation_id)
            IS DISTINCT FROM (OLD.state, OLD.revocation_id) THEN
            RAISE EXCEPTION 'a revocation stands' USING ERRCODE = 'integrity_constraint_violation';
        END IF;
    ELSIF OLD.yanked_at IS NOT NULL AND (NEW.yanked_at, NEW.yank_reason)
        IS DISTINCT FROM (OLD.yanked_at, OLD.yank_reason) THEN
        RAISE EXCEPTION 'a withdrawal stands' USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NEW;
END $$;
"""


def _up() -> str:
    triggers = [
        f"CREATE TRIGGER immutable BEFORE UPDATE OR DELETE ON {table} FOR EACH ROW "
        f"EXECUTE FUNCTION registry_immutable({', '.join(repr(column) for column in columns)});"
        for table, columns in MUTABLE.items()
    ]
    triggers += [
        f"CREATE TRIGGER one_way BEFORE UPDATE ON {table} FOR EACH ROW "
        "EXECUTE FUNCTION registry_one_way();"
        for table in ("registry_key", "registry_release")
    ]
    return FUNCTION + "\n".join(triggers)


def _down() -> str:
    return (
        "DROP FUNCTION registry_immutable() CASCADE; DROP FUNCTION registry_one_way() CASCADE;"
    )


class Migration(migrations.Migration):
    dependencies = [("registry", "0001_initial")]
    operations = [migrations.RunSQL(_up(), _down())]
