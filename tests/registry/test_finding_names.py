"""Names are found in whatever case by the indexes that they have, which are of lower case."""

from __future__ import annotations

from django.db import connection
from django.test.utils import CaptureQueriesContext

from registry import lineage, selectors
from registry.models import FormerName
from tests import builders
from tests.people import Person


def indexes(table: str) -> str:
    """Return the definitions of a table's indexes."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT indexdef FROM pg_indexes WHERE tablename = %s", [table])
        return "\n".join(row[0] for row in cursor.fetchall())


def asked(queries: CaptureQueriesContext) -> str:
    return "\n".join(query["sql"] for query in queries.captured_queries)


def test_the_indexes_of_names_are_of_lower_case(db: None) -> None:
    assert "(lower((name)::text))" in indexes("registry_owner")
    assert "(owner_id, lower((name)::text))" in indexes("registry_model")
    assert "(lower((name)::text))" in indexes("registry_formername")


def test_a_model_is_asked_for_as_its_index_has_it(alice: Person) -> None:
    builders.make_model(alice, "ResNet-50")
    with CaptureQueriesContext(connection) as queries:
        assert selectors.find_model("ALICE/resnet-50").full_name == "alice/ResNet-50"
        assert selectors.find_owner("ALICE") == alice.owner
    sql = asked(queries)
    assert 'LOWER("registry_model"."name") = ' in sql
    assert 'LOWER("registry_owner"."name") = ' in sql
    assert "UPPER(" not in sql


def test_former_names_and_parents_are_asked_for_as_the_index_has_them(alice: Person) -> None:
    model = builders.make_model(alice, "now")
    FormerName.objects.create(name="Old/Name", model=model)
    with CaptureQueriesContext(connection) as queries:
        assert selectors.find_model("old/NAME", follow=True) == model
        parents = lineage.parents({"base_model": ["old/name", "Alice/NOW", "a/b"]})
    assert [one.model for one in parents] == ["alice/now", "alice/now", ""]
    sql = asked(queries)
    assert 'LOWER("registry_formername"."name") = ' in sql
    assert 'LOWER("registry_formername"."name") IN ' in sql
    assert "UPPER(" not in sql
