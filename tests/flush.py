"""How tests that commit get rid of their rows, although the ledger's tables refuse it.

Tests with the fixture `db` roll back and need nothing. Those with `transactional_db` are flushed by
TRUNCATE, which a trigger of the ledger refuses; here, and only here, the flush runs with triggers
off, which PostgreSQL allows a superuser alone. The product has no such way.

Most tests leave rows in a few tables. TRUNCATE makes new files for each table and each index,
whether anything is in it or not: a DELETE where rows are costs a quarter of it. Content types and
permissions stay, so what Django does after a migration is left out. A large table is truncated, or
each later test would look through its dead rows.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import pytest
from django.core.management.commands import flush
from django.db import connection, transaction
from django.db.backends.base.operations import BaseDatabaseOperations
from django.db.backends.postgresql.operations import DatabaseOperations

_EMPTY_ALL = """
DO $$
DECLARE
  name regclass;
  filled boolean;
BEGIN
  FOR name IN
    SELECT oid FROM pg_class
    WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace AND relname NOT IN
      ('django_migrations', 'django_content_type', 'auth_permission')
  LOOP
    IF pg_relation_size(name) > 1000000 THEN
      EXECUTE format('TRUNCATE %s CASCADE', name);
    ELSE
      EXECUTE format('SELECT EXISTS (SELECT 1 FROM %s)', name) INTO filled;
      IF filled THEN
        EXECUTE format('DELETE FROM %s', name);
      END IF;
    END IF;
  END LOOP;
END $$
"""


@contextmanager
def triggers_off() -> Iterator[None]:
    """Play the operator with a database shell: within one transaction no trigger fires."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET LOCAL session_replication_role = replica")
        yield
        cursor.execute("SET LOCAL session_replication_role = origin")


def _flush(self: BaseDatabaseOperations, sql_list: Iterable[str]) -> None:
    with triggers_off(), connection.cursor() as cursor:
        cursor.execute(_EMPTY_ALL)


def _nothing(*_: object) -> None:
    """Stand for the signal after a migration, whose listeners make what was kept."""


@contextmanager
def flushable() -> Iterator[None]:
    """Let Django's flush empty the append-only tables."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(DatabaseOperations, "execute_sql_flush", _flush)
        patch.setattr(flush, "emit_post_migrate_signal", _nothing)
        yield
