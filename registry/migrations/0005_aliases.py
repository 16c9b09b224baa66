"""Aliases: who moved them and with which key; the database itself keeps the chain of moves.

A move comes right after the newest one of its alias and starts where that ended; an alias stands
where its newest move put it (looked at when the transaction commits), and stays for ever.
"""

from __future__ import annotations

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models

FUNCTIONS = """
CREATE FUNCTION registry_alias_chain() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    newest registry_aliasmove;
BEGIN
    SELECT * INTO newest FROM registry_aliasmove
        WHERE alias_id = NEW.alias_id ORDER BY number DESC LIMIT 1;
    IF NEW.number IS DISTINCT FROM COALESCE(newest.number, 0) + 1
        OR NEW.previous_id IS DISTINCT FROM newest.release_id
        OR NEW.release_id = NEW.previous_id
        OR (SELECT model_id FROM registry_release WHERE id = NEW.release_id)
            IS DISTINCT FROM (SELECT model_id FROM registry_alias WHERE id = NEW.alias_id) THEN
        RAISE EXCEPTION 'a move goes on from the newest move of its alias'
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE FUNCTION registry_alias_moved() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    moved bigint;
BEGIN
    IF TG_TABLE_NAME = 'registry_alias' THEN moved := NEW.id; ELSE moved := NEW.alias_id; END IF;
    IF (SELECT release_id FROM registry_alias WHERE id = moved) IS DISTINCT FROM
        (SELECT release_id FROM registry_aliasmove
            WHERE alias_id = moved ORDER BY number DESC LIMIT 1) THEN
        RAISE EXCEPTION 'an alias stands where its newest signed move put it'
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER immutable BEFORE UPDATE OR DELETE ON registry_alias FOR EACH ROW
    EXECUTE FUNCTION registry_immutable('release_id', 'protected');
CREATE TRIGGER chain BEFORE INSERT ON registry_aliasmove FOR EACH ROW
    EXECUTE FUNCTION registry_alias_chain();
CREATE CONSTRAINT TRIGGER moved AFTER INSERT OR UPDATE ON registry_alias
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION registry_alias_moved();
CREATE CONSTRAINT TRIGGER moved AFTER INSERT ON registry_aliasmove
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION registry_alias_moved();
"""
DROPS = """
DROP FUNCTION registry_alias_chain() CASCADE;
DROP FUNCTION registry_alias_moved() CASCADE;
DROP TRIGGER immutable ON registry_alias;
"""


class Migration(migrations.Migration):
    dependencies = [
        ("registry", "0004_organisations"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]
    # Nothing wrote a move before this migration, so the new columns need no default.
    operations = [
        migrations.AddField(
            model_name="alias",
            name="protected",
            field=models.BooleanField(
                default=False, help_text="moved only by who may change the settings"
            ),
        ),
        migrations.AddField(
            model_name="aliasmove",
            name="number",
            field=models.IntegerField(help_text="counts from 1 for each alias"),
        ),
        migrations.AddField(
            model_name="aliasmove",
            name="previous",
            field=models.ForeignKey(
                blank=True,
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="+",
                to="registry.release",
            ),
        ),
        migrations.AddField(
            model_name="aliasmove",
            name="key",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.PROTECT, related_name="+", to="registry.key"
            ),
        ),
        migrations.AddField(
            model_name="aliasmove",
            name="author",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.PROTECT,
                related_name="+",
                to=settings.AUTH_USER_MODEL,
            ),
        ),
        migrations.AddField(
            model_name="aliasmove",
            name="note",
            field=models.CharField(blank=True, max_length=500),
        ),
        migrations.AddConstraint(
            model_name="aliasmove",
            constraint=models.UniqueConstraint(
                fields=("alias", "number"), name="aliasmove_number_unique"
            ),
        ),
        migrations.RunSQL(FUNCTIONS, DROPS),
    ]
