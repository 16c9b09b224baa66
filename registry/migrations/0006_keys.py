"""Keys rotate and are revoked with a reason; trusted publishers.

The database keeps that a key ends once: what superseded or revoked it stands. A run of a trusted
publisher, and what it published, are history.
"""

from __future__ import annotations

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models

KEYS = """
DROP TRIGGER immutable ON registry_key;
CREATE TRIGGER immutable BEFORE UPDATE OR DELETE ON registry_key FOR EACH ROW
    EXECUTE FUNCTION registry_immutable('state', 'supersession_id', 'revocation_id',
        'revocation_reason', 'name', 'last_used_at');
CREATE FUNCTION registry_key_ends() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF (OLD.state = 'revoked' AND (NEW.state, NEW.revocation_reason)
            IS DISTINCT FROM (OLD.state, OLD.revocation_reason))
        OR (OLD.state = 'superseded' AND NEW.state = 'registered')
        OR (OLD.supersession_id IS DISTINCT FROM NEW.supersession_id
            AND (OLD.supersession_id IS NOT NULL OR OLD.state <> 'registered')) THEN
        RAISE EXCEPTION 'the end of a key stands' USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER ends BEFORE UPDATE ON registry_key FOR EACH ROW
    EXECUTE FUNCTION registry_key_ends();
CREATE TRIGGER immutable BEFORE UPDATE OR DELETE ON registry_trustedpublisher FOR EACH ROW
    EXECUTE FUNCTION registry_immutable('removed_at', 'repository_id', 'repository_owner_id');
CREATE TRIGGER immutable BEFORE UPDATE OR DELETE ON registry_trustedrun FOR EACH ROW
    EXECUTE FUNCTION registry_immutable();
CREATE TRIGGER immutable BEFORE UPDATE OR DELETE ON registry_releaserun FOR EACH ROW
    EXECUTE FUNCTION registry_immutable();
"""
KEYS_BACK = """
DROP TRIGGER immutable ON registry_releaserun;
DROP TRIGGER immutable ON registry_trustedrun;
DROP TRIGGER immutable ON registry_trustedpublisher;
DROP FUNCTION registry_key_ends() CASCADE;
DROP TRIGGER immutable ON registry_key;
CREATE TRIGGER immutable BEFORE UPDATE OR DELETE ON registry_key FOR EACH ROW
    EXECUTE FUNCTION registry_immutable('state', 'revocation_id', 'name', 'last_used_at');
"""
_STATES = [("registered", "registered"), ("superseded", "superseded"), ("revoked", "revoked")]


def _to(model: str, name: str = "+", **more: object) -> models.ForeignKey:
    return models.ForeignKey(
        on_delete=django.db.models.deletion.PROTECT, related_name=name, to=model, **more
    )


def _one(model: str, name: str = "+", **more: object) -> models.OneToOneField:
    return models.OneToOneField(
        on_delete=django.db.models.deletion.PROTECT, related_name=name, to=model, **more
    )


def _id() -> tuple[str, models.BigAutoField]:
    return "id", models.BigAutoField(
        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
    )


class Migration(migrations.Migration):
    dependencies = [
        ("ledger", "0004_frozen_and_fenced"),
        ("registry", "0005_aliases"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]
    operations = [
        # ---- keys
        migrations.AddField("key", "previous", _one("registry.key", "successor", blank=True, null=True)),
        migrations.AddField("key", "supersession", _one("ledger.entry", blank=True, null=True)),
        migrations.AddField(
            "key", "revocation_reason", models.CharField(blank=True, max_length=300)
        ),
        migrations.AlterField(
            "key",
            "state",
            models.CharField(choices=_STATES, default="registered", max_length=16),
        ),
        migrations.AddConstraint(
            "key",
            models.CheckConstraint(
                condition=~models.Q(state="superseded") | ~models.Q(supersession=None),
                name="key_superseded_by_entry",
            ),
        ),
        # ---- trusted publishers
        migrations.CreateModel(
            name="TrustedPublisher",
            fields=[
                _id(),
                ("issuer", models.CharField(max_length=300)),
                (
                    "repository",
                    models.CharField(help_text="owner/name at the issuer's", max_length=200),
                ),
                (
                    "workflow",
                    models.CharField(help_text="a file of .github/workflows", max_length=200),
                ),
                (
                    "environment",
                    models.CharField(blank=True, help_text="empty: any", max_length=255),
                ),
                ("repository_id", models.CharField(blank=True, max_length=64)),
                ("repository_owner_id", models.CharField(blank=True, max_length=64)),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                ("removed_at", models.DateTimeField(blank=True, null=True)),
                ("created_by", _to(settings.AUTH_USER_MODEL)),
                ("model", _to("registry.model", "trusted")),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(
                        fields=("model", "issuer", "repository", "workflow", "environment"),
                        condition=models.Q(removed_at=None),
                        name="trusted_publisher_unique",
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="TrustedRun",
            fields=[
                _id(),
                ("issuer", models.CharField(max_length=300)),
                ("jti", models.CharField(max_length=200)),
                ("claims", models.JSONField(help_text="those that pages show")),
                ("token_digest", models.CharField(max_length=128, unique=True)),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                ("expires_at", models.DateTimeField()),
                ("publisher", _to("registry.trustedpublisher", "runs")),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(fields=("issuer", "jti"), name="trusted_run_once")
                ],
            },
        ),
        migrations.CreateModel(
            name="ReleaseRun",
            fields=[
                ("release", _one("registry.release", "ci", primary_key=True, serialize=False)),
                ("run", _to("registry.trustedrun", "releases")),
            ],
        ),
        migrations.RunSQL(KEYS, KEYS_BACK),
    ]
