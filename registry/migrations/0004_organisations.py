"""Organisations, transfers, gates, limited tokens; whose change an audit row was.

Tokens of scope `write` could do everything that their account could; now that is `admin`, and
they keep it. Former names are history as reserved names are: no program changes or deletes them.
"""

from __future__ import annotations

import django.db.models.deletion
import django.db.models.functions.text
from django.conf import settings
from django.db import migrations, models

TOKENS = "UPDATE registry_apitoken SET scope = 'admin' WHERE scope = 'write'"
TOKENS_BACK = "UPDATE registry_apitoken SET scope = 'write' WHERE scope <> 'read'"
FORMER = """
CREATE TRIGGER immutable BEFORE UPDATE OR DELETE ON registry_formername FOR EACH ROW
EXECUTE FUNCTION registry_immutable();
"""
# The rows are history, which this one time learns more columns.
AUDIT = """
ALTER TABLE registry_auditevent DISABLE TRIGGER immutable;
UPDATE registry_auditevent AS e SET model_id = m.id, owner_id = m.owner_id
    FROM registry_model AS m JOIN registry_owner AS o ON o.id = m.owner_id
    WHERE e.target = o.name || '/' || m.name;
UPDATE registry_auditevent AS e SET model_id = m.id, owner_id = m.owner_id
    FROM registry_revision AS r JOIN registry_model AS m ON m.id = r.model_id
    WHERE e.owner_id IS NULL AND e.target = r.id;
UPDATE registry_auditevent AS e SET owner_id = k.owner_id
    FROM registry_key AS k WHERE e.owner_id IS NULL AND e.target = k.fingerprint;
UPDATE registry_auditevent AS e SET owner_id = o.id
    FROM registry_owner AS o WHERE e.owner_id IS NULL AND e.user_id = o.user_id;
SET CONSTRAINTS ALL IMMEDIATE;
ALTER TABLE registry_auditevent ENABLE TRIGGER immutable;
SET CONSTRAINTS ALL DEFERRED;
"""


def _who(**more: object) -> models.ForeignKey:
    fields = {
        "null": True,
        "blank": True,
        "on_delete": django.db.models.deletion.SET_NULL,
        "related_name": "+",
        "to": settings.AUTH_USER_MODEL,
    }
    return models.ForeignKey(**{**fields, **more})


def _to(model: str, name: str, **more: object) -> models.ForeignKey:
    return models.ForeignKey(
        on_delete=django.db.models.deletion.PROTECT, related_name=name, to=model, **more
    )


_ID = (
    "id",
    models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID"),
)
_PERSON = {"null": False, "blank": False, "on_delete": django.db.models.deletion.CASCADE}


class Migration(migrations.Migration):
    dependencies = [
        ("registry", "0003_hub"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]
    operations = [
        # ---- owners and members
        migrations.AddField(
            model_name="owner",
            name="deleted_at",
            field=models.DateTimeField(
                blank=True, help_text="a tombstone: the name is never given out again", null=True
            ),
        ),
        migrations.AddField(
            model_name="owner",
            name="title",
            field=models.CharField(blank=True, help_text="the name in full", max_length=80),
        ),
        migrations.CreateModel(
            name="Membership",
            fields=[
                _ID,
                (
                    "role",
                    models.CharField(
                        choices=[
                            ("reader", "reader"),
                            ("writer", "writer"),
                            ("publisher", "publisher"),
                            ("admin", "admin"),
                        ],
                        max_length=16,
                    ),
                ),
                (
                    "state",
                    models.CharField(
                        choices=[("invited", "invited"), ("member", "member")],
                        default="invited",
                        max_length=8,
                    ),
                ),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                ("invited_by", _who()),
                ("owner", _to("registry.owner", "memberships")),
                ("user", _who(**_PERSON, related_name="memberships")),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(fields=("user", "owner"), name="membership_unique")
                ],
            },
        ),
        # ---- models
        migrations.AlterField(
            model_name="model",
            name="visibility",
            field=models.CharField(
                choices=[("public", "public"), ("private", "private"), ("gated", "gated")],
                default="public",
                max_length=16,
            ),
        ),
        migrations.AddField(
            model_name="model",
            name="gate",
            field=models.CharField(
                choices=[
                    ("manual", "somebody looks at each request"),
                    ("auto", "every request is approved at once"),
                ],
                default="manual",
                max_length=8,
            ),
        ),
        migrations.AddField(
            model_name="model",
            name="gate_terms",
            field=models.TextField(blank=True, help_text="what who asks for a gated model is told"),
        ),
        migrations.CreateModel(
            name="AccessRequest",
            fields=[
                _ID,
                ("reason", models.CharField(max_length=1000)),
                (
                    "state",
                    models.CharField(
                        choices=[
                            ("waiting", "waiting"),
                            ("approved", "approved"),
                            ("declined", "declined"),
                            ("withdrawn", "withdrawn"),
                        ],
                        default="waiting",
                        max_length=16,
                    ),
                ),
                ("asked_at", models.DateTimeField()),
                ("decided_at", models.DateTimeField(blank=True, null=True)),
                ("decided_by", _who()),
                ("model", _to("registry.model", "access_requests")),
                ("user", _who(**_PERSON, related_name="access_requests")),
            ],
            options={
                "indexes": [
                    models.Index(fields=["model", "state", "id"], name="access_of_model")
                ],
                "constraints": [
                    models.UniqueConstraint(fields=("user", "model"), name="access_request_unique")
                ],
            },
        ),
        migrations.CreateModel(
            name="FormerName",
            fields=[
                _ID,
                ("name", models.CharField(help_text="owner/name", max_length=200)),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                ("model", _to("registry.model", "former_names")),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(
                        django.db.models.functions.text.Lower("name"), name="former_name_unique"
                    )
                ],
            },
        ),
        migrations.RunSQL(FORMER, migrations.RunSQL.noop),
        migrations.CreateModel(
            name="Transfer",
            fields=[
                _ID,
                (
                    "state",
                    models.CharField(
                        choices=[
                            ("waiting", "waiting for the new owner"),
                            ("accepted", "accepted"),
                            ("declined", "declined"),
                            ("cancelled", "cancelled"),
                        ],
                        default="waiting",
                        max_length=16,
                    ),
                ),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                ("decided_at", models.DateTimeField(blank=True, null=True)),
                ("asked_by", _to(settings.AUTH_USER_MODEL, "+")),
                ("model", _to("registry.model", "transfers")),
                ("source", _to("registry.owner", "+")),
                ("target", _to("registry.owner", "offers")),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(
                        condition=models.Q(("state", "waiting")),
                        fields=("model",),
                        name="transfer_waiting_unique",
                    )
                ],
            },
        ),
        # ---- letters
        migrations.CreateModel(
            name="Letter",
            fields=[
                _ID,
                ("subject", models.CharField(max_length=200)),
                ("body", models.TextField()),
                ("attempts", models.IntegerField(default=0)),
                ("next_at", models.DateTimeField()),
                ("sent_at", models.DateTimeField(blank=True, null=True)),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                ("user", _who(**_PERSON)),
            ],
            options={
                "indexes": [
                    models.Index(
                        condition=models.Q(("sent_at", None)),
                        fields=["next_at"],
                        name="letter_waiting",
                    )
                ],
            },
        ),
        # ---- tokens
        migrations.AlterField(
            model_name="apitoken",
            name="scope",
            field=models.CharField(
                choices=[
                    ("read", "read"),
                    ("write", "read and write"),
                    ("publish", "read, write and release"),
                    ("admin", "everything"),
                ],
                default="read",
                max_length=8,
            ),
        ),
        migrations.AddField(
            model_name="apitoken", name="limited", field=models.BooleanField(default=False)
        ),
        migrations.RunSQL(TOKENS, TOKENS_BACK),
        migrations.CreateModel(
            name="TokenLimit",
            fields=[
                _ID,
                (
                    "token",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="limits",
                        to=settings.KNOX_TOKEN_MODEL,
                    ),
                ),
                ("owner", _who(to="registry.owner", on_delete=django.db.models.deletion.CASCADE)),
                ("model", _who(to="registry.model", on_delete=django.db.models.deletion.CASCADE)),
            ],
            options={
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(("owner__isnull", True))
                        ^ models.Q(("model__isnull", True)),
                        name="token_limit_one",
                    ),
                    models.UniqueConstraint(
                        fields=("token", "owner", "model"),
                        name="token_limit_unique",
                        nulls_distinct=False,
                    ),
                ],
            },
        ),
        # ---- the audit log
        migrations.AddField(
            model_name="auditevent",
            name="owner",
            field=_to("registry.owner", "+", blank=True, db_index=False, null=True),
        ),
        migrations.AddField(
            model_name="auditevent",
            name="model",
            field=_to("registry.model", "+", blank=True, db_index=False, null=True),
        ),
        migrations.AddField(
            model_name="auditevent",
            name="token",
            field=models.CharField(blank=True, max_length=16),
        ),
        migrations.RunSQL(AUDIT, migrations.RunSQL.noop),
        *(
            migrations.AddIndex(
                model_name="auditevent",
                index=models.Index(fields=[name, "-id"], name=f"audit_of_{name}"),
            )
            for name in ("owner", "model", "user")
        ),
    ]
