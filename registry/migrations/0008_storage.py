"""Quotas and charges, uploads that go to a bucket, kinds of content, appeals.

What was stored before is charged to the person who brought it, and to the owner of each model that
names it. An upload of an account without an owner could never have been stored: it goes.
"""

from __future__ import annotations

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models

FILL = """
DELETE FROM registry_uploadpart WHERE upload_id IN (
    SELECT u.id FROM registry_upload u
    WHERE NOT EXISTS (SELECT 1 FROM registry_owner o WHERE o.user_id = u.user_id));
DELETE FROM registry_upload u
    WHERE NOT EXISTS (SELECT 1 FROM registry_owner o WHERE o.user_id = u.user_id);
UPDATE registry_upload u SET owner_id = o.id FROM registry_owner o WHERE o.user_id = u.user_id;
INSERT INTO registry_charge (owner_id, blob_id, created_at, touched_at)
    SELECT o.id, h.blob_id, h.created_at, now()
    FROM registry_holding h JOIN registry_owner o ON o.user_id = h.user_id
    UNION
    SELECT m.owner_id, f.blob_id, min(r.created_at), now()
    FROM registry_revisionfile f
    JOIN registry_revision r ON r.id = f.revision_id JOIN registry_model m ON m.id = r.model_id
    WHERE NOT EXISTS (
        SELECT 1 FROM registry_holding h JOIN registry_owner o ON o.user_id = h.user_id
        WHERE o.id = m.owner_id AND h.blob_id = f.blob_id)
    GROUP BY m.owner_id, f.blob_id;
-- The constraints are checked now: a table with checks that wait cannot be altered.
SET CONSTRAINTS ALL IMMEDIATE;
SET CONSTRAINTS ALL DEFERRED;
"""
USER = settings.AUTH_USER_MODEL




CASCADE, PROTECT = django.db.models.deletion.CASCADE, django.db.models.deletion.PROTECT


class Migration(migrations.Migration):
    dependencies = [("registry", "0007_cards"), migrations.swappable_dependency(USER)]
    operations = [
        migrations.AddField("blob", "kind", models.CharField(
            blank=True, default="", max_length=16,
            help_text="what it was taken for when a revision first had it"),
            preserve_default=False),
        migrations.AddField("upload", "multipart", models.CharField(
            blank=True, default="", max_length=1024,
            help_text="the bucket's name for an upload that goes there"),
            preserve_default=False),
        migrations.AddField("upload", "owner", models.ForeignKey(
            to="registry.owner", on_delete=CASCADE, related_name="+", null=True,
            help_text="whose quota it counts against")),
        migrations.AddField("holding", "touched_at", models.DateTimeField(
            auto_now=True, db_index=True)),
        migrations.CreateModel(
            name="Quota",
            fields=[
                ("id", models.BigAutoField(
                    auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("max_bytes", models.BigIntegerField(
                    blank=True, null=True, help_text="stored bytes")),
                ("max_models", models.IntegerField(blank=True, null=True, help_text="models")),
                ("max_uploads", models.IntegerField(
                    blank=True, null=True, help_text="uploads at a time")),
                ("owner", models.OneToOneField(
                    on_delete=PROTECT, related_name="quota", to="registry.owner")),
            ],
        ),
        migrations.CreateModel(
            name="Charge",
            fields=[
                ("id", models.BigAutoField(
                    auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                ("touched_at", models.DateTimeField(auto_now=True, db_index=True)),
                ("blob", models.ForeignKey(
                    on_delete=CASCADE, related_name="+", to="registry.blob")),
                ("owner", models.ForeignKey(
                    on_delete=PROTECT, related_name="charges", to="registry.owner")),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(fields=("owner", "blob"), name="charge_unique"),
                ],
            },
        ),
        migrations.CreateModel(
            name="Appeal",
            fields=[
                ("id", models.BigAutoField(
                    auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("text", models.TextField(max_length=2000)),
                ("findings", models.JSONField(
                    default=list, help_text="what the report said when it was asked")),
                ("state", models.CharField(
                    choices=[("waiting", "waiting for a moderator"),
                             ("upheld", "the refusal stands"), ("again", "inspected again")],
                    default="waiting", max_length=16)),
                ("answer", models.TextField(blank=True, max_length=2000)),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                ("answered_at", models.DateTimeField(blank=True, null=True)),
                ("moderator", models.ForeignKey(
                    blank=True, null=True, on_delete=PROTECT, related_name="+", to=USER)),
                ("revision", models.ForeignKey(
                    on_delete=PROTECT, related_name="appeals", to="registry.revision")),
                ("user", models.ForeignKey(on_delete=PROTECT, related_name="+", to=USER)),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(
                        fields=("revision",), condition=models.Q(("state", "waiting")),
                        name="appeal_one_waiting"),
                ],
            },
        ),
        migrations.RunSQL(FILL, migrations.RunSQL.noop),
        migrations.AlterField("upload", "owner", models.ForeignKey(
            to="registry.owner", on_delete=CASCADE, related_name="+",
            help_text="whose quota it counts against")),
        migrations.AddIndex("upload", models.Index(
            fields=["owner"], condition=models.Q(("state__in", ("open", "joining"))),
            name="upload_unfinished")),
    ]
