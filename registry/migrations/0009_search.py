"""Search documents that the database keeps itself, and counters that are added up.

The words are made here and nowhere else, so that what is typed and what is looked into are folded
alike: compatibility forms and accents go (NFKD, then NFC), letters are lower case, ASCII that is
neither letter nor digit parts words, and each Han, Hiragana or Katakana character is a word of its
own. The configuration is `simple`: most words are names, operators, licences and tags, which no
stemmer may touch, and cards are written in many languages.
"""

from __future__ import annotations

import django.contrib.postgres.fields
import django.contrib.postgres.indexes
import django.contrib.postgres.search
import django.db.models.deletion
from django.db import migrations, models

WORDS = r"""
CREATE FUNCTION registry_search_fold(given text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT regexp_replace(
        regexp_replace(
            lower(normalize(regexp_replace(normalize(given, NFKD), '[\u0300-\u036f]', '', 'g'), NFC)),
            '[\u0001-\u002f\u003a-\u0040\u005b-\u0060\u007b-\u007f]+', ' ', 'g'),
        '([\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff])', ' \1 ', 'g')
$$;

-- A name whole, parted at '-_/.' (by the fold), at the humps of camelCase, between letters and
-- digits, and with everything that parts words left out.
CREATE FUNCTION registry_search_name(name text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT concat_ws(
        ' ', name, humps, regexp_replace(humps, '([A-Za-z])([0-9])|([0-9])([A-Za-z])',
        '\1\3 \2\4', 'g'), regexp_replace(name, '[^A-Za-z0-9]', '', 'g'))
    FROM regexp_replace(
        regexp_replace(name, '([a-z0-9])([A-Z])', '\1 \2', 'g'),
        '([A-Z])([A-Z][a-z])', '\1 \2', 'g') AS humps
$$;

-- What was typed: every word must be there, or one that begins so (from `shortest` characters on).
-- Nothing of the query language comes through: words are quoted, and hold no ASCII sign.
CREATE FUNCTION registry_search_query(typed text, shortest integer) RETURNS tsquery
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
DECLARE
    word text;
    one tsquery;
    whole tsquery := ''::tsquery;
BEGIN
    FOR word IN
        SELECT l.lexeme FROM regexp_split_to_table(registry_search_fold(left(typed, 400)), '\s+')
            WITH ORDINALITY AS w (word, place), unnest(to_tsvector('simple', w.word)) AS l
        ORDER BY w.place LIMIT 12
    LOOP
        one := (quote_literal(word)
            || CASE WHEN length(word) >= shortest THEN ':*' ELSE '' END)::tsquery;
        -- resnet50 finds ResNet-50 in the text of a card, too
        IF word ~ '^[a-z]+[0-9]+$' THEN
            one := one
                || regexp_replace(word, '^([a-z]+)([0-9]+)$', '''\1'' & ''\2''')::tsquery;
        END IF;
        whole := whole && one;
    END LOOP;
    RETURN whole;
END $$;

-- A whole name in a form that nobody types by accident: '=' parts words.
CREATE FUNCTION registry_search_exact(name text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT '=' || regexp_replace(lower(name), '[^a-z0-9]', '', 'g')
$$;

-- The strings of a value of a card: of a string itself, of a list those in it.
CREATE FUNCTION registry_search_strings(value jsonb) RETURNS text[]
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE jsonb_typeof(value)
        WHEN 'string' THEN ARRAY[value #>> '{}']
        WHEN 'array' THEN ARRAY(
            SELECT item #>> '{}' FROM jsonb_array_elements(value) WITH ORDINALITY AS l (item, n)
            WHERE jsonb_typeof(item) IN ('string', 'number') ORDER BY n LIMIT 64)
        ELSE '{}' END
$$;

CREATE FUNCTION registry_search_labels(kind text, words text[]) RETURNS text[]
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT ARRAY(SELECT DISTINCT kind || ':' || left(lower(btrim(word)), 96)
                 FROM unnest(words) AS word WHERE btrim(word) <> '')
$$;

CREATE FUNCTION registry_search_size(bytes bigint) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE WHEN bytes < 1000000 THEN '1-under-1-mb' WHEN bytes < 10000000 THEN '2-to-10-mb'
        WHEN bytes < 100000000 THEN '3-to-100-mb' WHEN bytes < 1000000000 THEN '4-to-1-gb'
        WHEN bytes < 10000000000 THEN '5-to-10-gb' ELSE '6-over-10-gb' END
$$;
"""

REFRESH = r"""
-- From the head back along its parents to the first revision that passed its inspection.
CREATE FUNCTION registry_search_revision(head text) RETURNS text
LANGUAGE sql STABLE AS $$
    WITH RECURSIVE line (id, parent_id, state, depth) AS (
        SELECT id, parent_id, state, 0 FROM registry_revision WHERE id = head
        UNION ALL
        SELECT older.id, older.parent_id, older.state, depth + 1
        FROM line JOIN registry_revision AS older ON older.id = line.parent_id
        WHERE line.state NOT IN ('passed', 'flagged') AND depth < 10000
    ) SELECT id::text FROM line WHERE state IN ('passed', 'flagged') ORDER BY depth LIMIT 1
$$;

CREATE FUNCTION registry_search_refresh(target bigint) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    named record;
    made record;
    shown registry_revision;
    card jsonb;
    facts jsonb;
    bytes bigint := 0;
    operators text[] := '{}';
    facets text[] := '{}';
    spoken text[];
    names tsvector;
    document tsvector;
BEGIN
    -- Two that change one model at once: the second waits here, and then sees what the first did.
    INSERT INTO registry_searchdocument
        (model_id, full_name, updated_at, size, facets, operators, names, document)
        VALUES (target, '', now(), 0, '{}', '{}', '', '') ON CONFLICT DO NOTHING;
    PERFORM 1 FROM registry_searchdocument WHERE model_id = target FOR UPDATE;
    SELECT o.name AS owner, m.name, m.head_id, m.deleted_at, m.updated_at INTO named
        FROM registry_model AS m JOIN registry_owner AS o ON o.id = m.owner_id WHERE m.id = target;
    IF NOT FOUND OR named.deleted_at IS NOT NULL THEN
        DELETE FROM registry_searchdocument WHERE model_id = target;
        RETURN;
    END IF;
    INSERT INTO registry_modeltotal (model_id, executions, unique_runs, downloads)
        VALUES (target, 0, 0, 0) ON CONFLICT DO NOTHING;
    SELECT id, revision_id, key_id INTO made FROM registry_release
        WHERE model_id = target AND yanked_at IS NULL ORDER BY number DESC LIMIT 1;
    SELECT * INTO shown FROM registry_revision
        WHERE id = COALESCE(made.revision_id, registry_search_revision(named.head_id));
    names := to_tsvector('simple', registry_search_fold(
        registry_search_name(named.owner) || ' ' || registry_search_name(named.name)));
    document := setweight(names, 'A');
    names := strip(names) || array_to_tsvector(ARRAY[registry_search_exact(named.name),
        registry_search_exact(named.owner || named.name)]);
    IF shown.id IS NOT NULL THEN
        card := shown.card_metadata;
        facts := shown.report -> 'facts';
        SELECT COALESCE(sum(b.size), 0) INTO bytes FROM registry_revisionfile AS f
            JOIN registry_blob AS b ON b.sha256 = f.blob_id WHERE f.revision_id = shown.id;
        IF jsonb_typeof(facts -> 'operators') = 'object' THEN
            operators := ARRAY(
                SELECT left(lower(word), 96) FROM jsonb_object_keys(facts -> 'operators') AS word
                ORDER BY 1 LIMIT 300);
        END IF;
        facets := registry_search_labels('task', registry_search_strings(card -> 'pipeline_tag'))
            || registry_search_labels('license', registry_search_strings(card -> 'license'))
            || registry_search_labels('library', registry_search_strings(card -> 'library_name'))
            || registry_search_labels('language', registry_search_strings(card -> 'language'))
            || registry_search_labels('tag', registry_search_strings(card -> 'tags'))
            || registry_search_labels('opset', ARRAY[facts #>> '{opsets,ai.onnx}'])
            || ARRAY['size:' || registry_search_size(bytes)];
        IF made.id IS NOT NULL THEN
            facets := facets || ARRAY['signer:' || made.key_id,
                'runnable:' || CASE WHEN shown.graph_path = '' THEN 'no' ELSE 'yes' END];
        END IF;
        spoken := registry_search_strings(card -> 'pipeline_tag')
            || registry_search_strings(card -> 'tags')
            || registry_search_strings(card -> 'library_name')
            || registry_search_strings(card -> 'license')
            || registry_search_strings(card -> 'license_name')
            || registry_search_strings(card -> 'language')
            || registry_search_strings(card -> 'datasets')
            || registry_search_strings(card -> 'base_model');
        BEGIN
            document := document
                || setweight(to_tsvector('simple', registry_search_fold(
                    array_to_string(spoken, ' '))), 'B')
                || setweight(to_tsvector('simple', registry_search_fold(concat_ws(' ',
                    array_to_string(operators, ' '),
                    (SELECT string_agg(concat_ws(' ', port ->> 'name', port ->> 'datatype'), ' ')
                     FROM (SELECT jsonb_path_query(facts, '$.inputs[*]') AS port UNION ALL
                           SELECT jsonb_path_query(facts, '$.outputs[*]')) AS ports
                     WHERE jsonb_typeof(port) = 'object')))), 'C')
                -- Without places: how often a card says a word is no merit, and the row is smaller.
                || strip(to_tsvector('simple', registry_search_fold(
                    left(shown.card_body, 65536))));
        EXCEPTION WHEN program_limit_exceeded THEN
            NULL;  -- more words than a document may hold: it is found by its names and facets
        END;
    END IF;
    UPDATE registry_searchdocument AS d SET
        revision_id = shown.id, release_id = made.id, updated_at = named.updated_at,
        full_name = lower(named.owner || '/' || named.name), size = bytes, facets = made_of.facets,
        operators = made_of.operators, names = made_of.names, document = made_of.document
        FROM (SELECT facets, operators, names, document) AS made_of WHERE d.model_id = target;
END $$;

CREATE FUNCTION registry_search_touch() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE registry_searchdocument SET updated_at = NEW.updated_at WHERE model_id = NEW.id;
    RETURN NULL;
END $$;

CREATE FUNCTION registry_search_keep() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    CASE TG_TABLE_NAME
        WHEN 'registry_model' THEN PERFORM registry_search_refresh(NEW.id);
        WHEN 'registry_owner' THEN
            PERFORM registry_search_refresh(id) FROM registry_model WHERE owner_id = NEW.id;
        ELSE PERFORM registry_search_refresh(NEW.model_id);
    END CASE;
    RETURN NULL;
END $$;
CREATE TRIGGER search_born AFTER INSERT ON registry_model FOR EACH ROW
    EXECUTE FUNCTION registry_search_keep();
CREATE TRIGGER search_moved AFTER UPDATE ON registry_model FOR EACH ROW
    WHEN ((OLD.head_id, OLD.name, OLD.owner_id, OLD.deleted_at)
        IS DISTINCT FROM (NEW.head_id, NEW.name, NEW.owner_id, NEW.deleted_at))
    EXECUTE FUNCTION registry_search_keep();
CREATE TRIGGER search_touched AFTER UPDATE ON registry_model FOR EACH ROW
    WHEN ((OLD.head_id, OLD.name, OLD.owner_id, OLD.deleted_at)
        IS NOT DISTINCT FROM (NEW.head_id, NEW.name, NEW.owner_id, NEW.deleted_at)
        AND OLD.updated_at <> NEW.updated_at)
    EXECUTE FUNCTION registry_search_touch();
CREATE TRIGGER search_released AFTER INSERT ON registry_release FOR EACH ROW
    EXECUTE FUNCTION registry_search_keep();
CREATE TRIGGER search_withdrawn AFTER UPDATE ON registry_release FOR EACH ROW
    WHEN (OLD.yanked_at IS DISTINCT FROM NEW.yanked_at) EXECUTE FUNCTION registry_search_keep();
CREATE TRIGGER search_inspected AFTER UPDATE ON registry_revision FOR EACH ROW
    WHEN ((OLD.state, OLD.report) IS DISTINCT FROM (NEW.state, NEW.report))
    EXECUTE FUNCTION registry_search_keep();
CREATE TRIGGER search_renamed AFTER UPDATE ON registry_owner FOR EACH ROW
    WHEN (OLD.name IS DISTINCT FROM NEW.name) EXECUTE FUNCTION registry_search_keep();
"""

FILL = "SELECT registry_search_refresh(id) FROM registry_model ORDER BY id"

DOWN = """
DROP TRIGGER search_born ON registry_model;
DROP TRIGGER search_moved ON registry_model;
DROP TRIGGER search_touched ON registry_model;
DROP TRIGGER search_released ON registry_release;
DROP TRIGGER search_withdrawn ON registry_release;
DROP TRIGGER search_inspected ON registry_revision;
DROP TRIGGER search_renamed ON registry_owner;
DROP FUNCTION registry_search_keep();
DROP FUNCTION registry_search_touch();
DROP FUNCTION registry_search_refresh(bigint);
DROP FUNCTION registry_search_revision(text);
DROP FUNCTION registry_search_size(bigint);
DROP FUNCTION registry_search_labels(text, text[]);
DROP FUNCTION registry_search_strings(jsonb);
DROP FUNCTION registry_search_exact(text);
DROP FUNCTION registry_search_query(text, integer);
DROP FUNCTION registry_search_name(text);
DROP FUNCTION registry_search_fold(text);
"""
# Documents of usual cards stay in their rows: a filter that had to fetch and unpack each one from
# beside the table would cost ten times what PostgreSQL reckons, and spoil its plans. A page needs few
# rows: to start workers for them takes longer than to read them.
INLINE = """
ALTER TABLE registry_searchdocument SET (toast_tuple_target = 8160, parallel_workers = 0)
"""


def _counters() -> list[tuple[str, models.Field]]:
    return [
        ("executions", models.BigIntegerField(default=0, help_text="entries of the ledger")),
        ("unique_runs", models.BigIntegerField(default=0, help_text="of different inputs")),
        ("downloads", models.BigIntegerField(default=0)),
    ]


class Migration(migrations.Migration):
    dependencies = [("ledger", "0001_initial"), ("registry", "0008_storage")]
    operations = [
        migrations.CreateModel(
            name="SearchDocument",
            fields=[
                ("model", models.OneToOneField(
                    on_delete=django.db.models.deletion.CASCADE, primary_key=True,
                    related_name="search", serialize=False, to="registry.model")),
                ("full_name", models.CharField(
                    help_text="owner/name in lower case", max_length=200)),
                ("updated_at", models.DateTimeField(help_text="the model's own")),
                ("size", models.BigIntegerField(default=0)),
                ("facets", django.contrib.postgres.fields.ArrayField(
                    base_field=models.TextField(), default=list, size=None)),
                ("operators", django.contrib.postgres.fields.ArrayField(
                    base_field=models.TextField(), default=list, size=None)),
                ("names", django.contrib.postgres.search.SearchVectorField()),
                ("document", django.contrib.postgres.search.SearchVectorField()),
                ("release", models.ForeignKey(
                    db_index=False, null=True, on_delete=django.db.models.deletion.CASCADE,
                    related_name="+", to="registry.release")),
                ("revision", models.ForeignKey(
                    db_index=False, null=True, on_delete=django.db.models.deletion.CASCADE,
                    related_name="+", to="registry.revision")),
            ],
            options={"indexes": [
                django.contrib.postgres.indexes.GinIndex(
                    fields=["names", "document", "facets", "operators"], name="search_words"),
                models.Index(fields=["full_name"], name="search_name"),
                models.Index(fields=["-updated_at", "model"], name="search_newest"),
            ]},
        ),
        migrations.CreateModel(
            name="ModelTotal",
            fields=[
                ("model", models.OneToOneField(
                    on_delete=django.db.models.deletion.CASCADE, primary_key=True,
                    related_name="total", serialize=False, to="registry.model")),
                *_counters(),
            ],
            options={"indexes": [
                models.Index(fields=["-executions", "model"], name="total_executions"),
            ]},
        ),
        migrations.CreateModel(
            name="ReleaseDay",
            fields=[
                ("id", models.BigAutoField(
                    auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("day", models.DateField()),
                ("executions", models.BigIntegerField(default=0)),
                ("unique_runs", models.BigIntegerField(default=0)),
                ("downloads", models.BigIntegerField(default=0)),
                ("release", models.ForeignKey(
                    db_index=False, on_delete=django.db.models.deletion.CASCADE,
                    related_name="days", to="registry.release")),
            ],
            options={"constraints": [
                models.UniqueConstraint(fields=("release", "day"), name="release_day_unique"),
            ]},
        ),
        migrations.CreateModel(
            name="DownloadMark",
            fields=[
                ("key", models.CharField(max_length=64, primary_key=True, serialize=False)),
                ("day", models.DateField(db_index=True)),
                ("counted", models.BooleanField(default=False)),
                ("release", models.ForeignKey(
                    db_index=False, on_delete=django.db.models.deletion.CASCADE,
                    related_name="+", to="registry.release")),
            ],
            options={"indexes": [
                models.Index(
                    condition=models.Q(("counted", False)), fields=["release"],
                    name="download_new"),
            ]},
        ),
        migrations.CreateModel(
            name="DaySalt",
            fields=[
                ("day", models.DateField(primary_key=True, serialize=False)),
                ("salt", models.BinaryField()),
            ],
        ),
        migrations.CreateModel(
            name="CountedLog",
            fields=[
                ("log", models.OneToOneField(
                    on_delete=django.db.models.deletion.CASCADE, primary_key=True,
                    related_name="+", serialize=False, to="ledger.log")),
                ("size", models.BigIntegerField(default=0)),
            ],
        ),
        migrations.RunSQL(INLINE, migrations.RunSQL.noop),
        migrations.RunSQL(WORDS + REFRESH, DOWN),
        migrations.RunSQL(FILL, migrations.RunSQL.noop),
    ]
