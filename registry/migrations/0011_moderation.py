"""What moderators do, in public: actions, reports, appeals, and how things stand.

The database keeps three promises by itself, whoever speaks SQL:

- An action is history: it is neither changed nor deleted, and actions are numbered without gaps.
- How a model, release, file or owner stands is what the newest action about it says. Nobody hides
  or restores without one, and content that comes back stands as it stood.
- An answered appeal stays answered.
"""

from __future__ import annotations

from importlib import import_module

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models

RULES = """
DROP TRIGGER immutable ON registry_release;
CREATE TRIGGER immutable BEFORE UPDATE OR DELETE ON registry_release FOR EACH ROW
    EXECUTE FUNCTION registry_immutable('yanked_at', 'yank_reason', 'standing');

CREATE TRIGGER immutable BEFORE UPDATE OR DELETE ON registry_moderationaction FOR EACH ROW
    EXECUTE FUNCTION registry_immutable();
CREATE FUNCTION registry_no_truncate() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'TRUNCATE of % is refused: its rows are history', TG_TABLE_NAME
        USING ERRCODE = 'integrity_constraint_violation';
END $$;
CREATE TRIGGER no_truncate BEFORE TRUNCATE ON registry_moderationaction FOR EACH STATEMENT
    EXECUTE FUNCTION registry_no_truncate();

CREATE FUNCTION registry_action_born() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.number <> (SELECT COALESCE(max(number), 0) + 1 FROM registry_moderationaction)
        OR (SELECT kind FROM ledger_entry WHERE id = NEW.entry_id) <> 'moderation' THEN
        RAISE EXCEPTION 'an action is the next one, and has its statement in the ledger'
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER born BEFORE INSERT ON registry_moderationaction FOR EACH ROW
    EXECUTE FUNCTION registry_action_born();

CREATE TRIGGER immutable BEFORE UPDATE OR DELETE ON registry_objection FOR EACH ROW
    EXECUTE FUNCTION registry_immutable('state', 'answer', 'moderator_id', 'decided_at',
        'outcome_id');
CREATE TRIGGER no_truncate BEFORE TRUNCATE ON registry_objection FOR EACH STATEMENT
    EXECUTE FUNCTION registry_no_truncate();
CREATE FUNCTION registry_objection_ends() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF OLD.state <> 'waiting' THEN
        RAISE EXCEPTION 'an answer stands' USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER ends BEFORE UPDATE ON registry_objection FOR EACH ROW
    EXECUTE FUNCTION registry_objection_ends();

CREATE FUNCTION registry_standing_of(text, text) RETURNS text LANGUAGE sql STABLE AS $$
    SELECT COALESCE((
        SELECT CASE act WHEN 'hide' THEN 'hidden' WHEN 'takedown' THEN 'taken_down'
            WHEN 'suspend' THEN 'suspended' ELSE '' END
        FROM registry_moderationaction WHERE kind = $1 AND target = $2
        ORDER BY number DESC LIMIT 1), '')
$$;
CREATE FUNCTION registry_standing() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    said text := registry_standing_of(TG_ARGV[0], to_jsonb(NEW) ->> TG_ARGV[1]);
BEGIN
    IF TG_OP = 'INSERT' THEN
        NEW.standing := said;
    ELSIF NEW.standing <> said THEN
        RAISE EXCEPTION 'no action of moderators says so'
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NEW;
END $$;
"""
STANDING = "".join(
    f"CREATE TRIGGER standing_kept BEFORE INSERT ON registry_{kind} FOR EACH ROW "
    f"EXECUTE FUNCTION registry_standing('{target}', '{column}');\n"
    f"CREATE TRIGGER standing BEFORE UPDATE ON registry_{kind} FOR EACH ROW "
    "WHEN (OLD.standing IS DISTINCT FROM NEW.standing) "
    f"EXECUTE FUNCTION registry_standing('{target}', '{column}');\n"
    for kind, target, column in (
        ("model", "model", "id"),
        ("release", "release", "id"),
        ("blob", "file", "sha256"),
        ("owner", "owner", "id"),
    )
)
RULES_BACK = """
DROP FUNCTION registry_standing() CASCADE;
DROP FUNCTION registry_standing_of(text, text);
DROP FUNCTION registry_objection_ends() CASCADE;
DROP FUNCTION registry_action_born() CASCADE;
DROP FUNCTION registry_no_truncate() CASCADE;
DROP TRIGGER immutable ON registry_objection;
DROP TRIGGER immutable ON registry_moderationaction;
DROP TRIGGER immutable ON registry_release;
CREATE TRIGGER immutable BEFORE UPDATE OR DELETE ON registry_release FOR EACH ROW
    EXECUTE FUNCTION registry_immutable('yanked_at', 'yank_reason');
"""

# Search: what moderators hid is not what a model is found by.
_BEGIN = "CREATE FUNCTION registry_search_refresh"
_MADE = "WHERE model_id = target AND yanked_at IS NULL ORDER BY"
_SHOWN = "WHERE id = COALESCE(made.revision_id, registry_search_revision(named.head_id))"
_REFRESH = import_module("registry.migrations.0009_search").REFRESH
_OLD = _REFRESH[_REFRESH.index(_BEGIN) :].partition("\n\nCREATE FUNCTION")[0]
_NEW = _OLD.replace(
    _MADE, "WHERE model_id = target AND yanked_at IS NULL AND standing = '' ORDER BY"
).replace(
    _SHOWN,
    f"{_SHOWN} AND NOT EXISTS (SELECT FROM registry_release AS r\n"
    "            WHERE r.revision_id = registry_revision.id AND r.standing = 'taken_down')",
)


def _search(function: str, columns: str) -> str:
    old, new = (f"({', '.join(f'{row}.{name}' for name in columns.split())})" for row in ("OLD", "NEW"))
    return (
        function.replace("CREATE FUNCTION", "CREATE OR REPLACE FUNCTION", 1)
        + "\nDROP TRIGGER search_withdrawn ON registry_release;\n"
        "CREATE TRIGGER search_withdrawn AFTER UPDATE ON registry_release FOR EACH ROW\n"
        f"    WHEN ({old} IS DISTINCT FROM {new}) EXECUTE FUNCTION registry_search_keep();\n"
    )


ACTS = [
    ("hide", "hide"), ("restore", "restore"), ("takedown", "take down"), ("suspend", "suspend"),
    ("reinstate", "reinstate"),
]
KINDS = [
    ("model", "model"), ("release", "release"), ("file", "file, wherever it lies"),
    ("owner", "person or organisation"), ("execution", "tensors of an execution"), ("key", "key"),
]
CATEGORIES = [
    ("illegal", "against the law"), ("copyright", "somebody else's work"),
    ("personal-data", "personal data"), ("malicious", "made to do harm"),
    ("deception", "pretends to be another, or to be what it is not"),
    ("abuse", "spam, or abuse of people"),
    ("compromise", "a key or an account in wrong hands"),
    ("correction", "an earlier action was wrong, or its cause is gone"),
    ("other", "something else; the text says what"),
]
STANDINGS = [
    ("", "nothing stands against it"), ("hidden", "hidden"), ("taken_down", "taken down"),
    ("suspended", "suspended"),
]


def _standing(model: str) -> migrations.AddField:
    field = models.CharField(
        blank=True, choices=STANDINGS, db_default="", default="", editable=False, max_length=16
    )
    return migrations.AddField(model, "standing", field)


def _to(model: str, name: str = "+", **more: object) -> models.ForeignKey:
    more.setdefault("on_delete", django.db.models.deletion.PROTECT)
    return models.ForeignKey(related_name=name, to=model, **more)


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
        ("registry", "0010_watch"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]
    operations = [
        *(_standing(model) for model in ("blob", "model", "owner", "release")),
        migrations.CreateModel(
            name="ModerationAction",
            fields=[
                _id(),
                ("number", models.IntegerField(unique=True)),
                ("act", models.CharField(choices=ACTS, max_length=16)),
                ("kind", models.CharField(choices=KINDS, max_length=16)),
                ("target", models.CharField(max_length=64)),
                ("name", models.CharField(max_length=300)),
                ("sha256", models.CharField(max_length=64)),
                ("category", models.CharField(choices=CATEGORIES, max_length=32)),
                ("reason", models.TextField(help_text="for everybody to read")),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                ("entry", _one("ledger.entry")),
                ("moderator", _to(settings.AUTH_USER_MODEL)),
                ("owner", _to("registry.owner", blank=True, null=True)),
            ],
            options={
                "ordering": ("-number",),
                "permissions": (("moderate", "Can hide, take down, suspend, and undo that"),),
                "indexes": [
                    models.Index(fields=["kind", "target", "-number"], name="action_of_target")
                ],
            },
        ),
        migrations.CreateModel(
            name="Objection",
            fields=[
                _id(),
                ("text", models.TextField()),
                ("state", models.CharField(
                    choices=[
                        ("waiting", "waiting for another moderator"),
                        ("upheld", "the action stands"),
                        ("granted", "the action was undone"),
                    ],
                    default="waiting",
                    max_length=16,
                )),
                ("answer", models.TextField(blank=True, help_text="for everybody to read")),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                ("decided_at", models.DateTimeField(blank=True, null=True)),
                ("action", _one("registry.moderationaction", "objection")),
                ("moderator", _to(settings.AUTH_USER_MODEL, blank=True, null=True)),
                ("outcome", _one("registry.moderationaction", "granted", blank=True, null=True)),
                ("user", _to(settings.AUTH_USER_MODEL)),
            ],
            options={
                "verbose_name": "appeal against an action",
                "verbose_name_plural": "appeals against actions",
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(state="granted", outcome__isnull=False)
                        | (~models.Q(state="granted") & models.Q(outcome__isnull=True)),
                        name="objection_granted_has_outcome",
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="Report",
            fields=[
                _id(),
                ("kind", models.CharField(choices=KINDS, max_length=16)),
                ("target", models.CharField(max_length=64)),
                ("name", models.CharField(max_length=300)),
                ("category", models.CharField(choices=CATEGORIES, max_length=32)),
                ("text", models.TextField()),
                ("email", models.EmailField(
                    blank=True, help_text="where the reader may be asked", max_length=254
                )),
                ("origin", models.CharField(blank=True, max_length=64)),
                ("state", models.CharField(
                    choices=[
                        ("waiting", "waiting for a moderator"),
                        ("acted", "something was done"),
                        ("dismissed", "nothing was done"),
                    ],
                    default="waiting",
                    max_length=16,
                )),
                ("note", models.CharField(
                    blank=True, help_text="why nothing was done", max_length=500
                )),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                ("handled_at", models.DateTimeField(blank=True, null=True)),
                ("action", _to("registry.moderationaction", "reports", blank=True, null=True)),
                ("handled_by", _to(settings.AUTH_USER_MODEL, blank=True, null=True)),
                ("user", _to(
                    settings.AUTH_USER_MODEL,
                    blank=True,
                    null=True,
                    on_delete=django.db.models.deletion.SET_NULL,
                )),
            ],
            options={
                "indexes": [
                    models.Index(fields=["kind", "target", "state"], name="report_of_target"),
                    models.Index(fields=["origin", "created_at"], name="report_origin"),
                    models.Index(
                        condition=models.Q(state="waiting"),
                        fields=["created_at"],
                        name="report_waiting",
                    ),
                ],
            },
        ),
        migrations.RunSQL(RULES + STANDING, RULES_BACK),
        migrations.RunSQL(_search(_NEW, "yanked_at standing"), _search(_OLD, "yanked_at")),
    ]
