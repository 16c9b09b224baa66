"""How tests that commit get rid of their rows, although the ledger's tables refuse it.

Tests with the fixture `db` roll back and need nothing. Those with `transactional_db` are flushed by
TRUNCATE, which a trigger of the ledger refuses; here, and only here, the flush runs with triggers
off, which PostgreSQL allows a superuser alone. The product has no such way.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from django.db import connection, transaction
from django.db.backends.base.operations import BaseDatabaseOperations
from django.db.backends.postgresql.operations import DatabaseOperations


@contextmanager
def triggers_off() -> Iterator[None]:
    """Play the operator with a database shell: within one transaction no trigger fires."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET LOCAL session_replication_role = replica")
        yield
        cursor.execute("SET LOCAL session_replication_role = origin")


def _flush(self: BaseDatabaseOperations, sql_list: Iterable[str]) -> None:
    with triggers_off(), connection.cursor() as cursor:
        for sql in sql_list:
            # CASCADE reaches the table of knox's own token model, which Django does not list
            # because it is swapped out.
            cursor.execute(sql.rstrip(";") + " CASCADE" if sql.startswith("TRUNCATE") else sql)


@contextmanager
def flushable() -> Iterator[None]:
    """Let Django's flush empty the append-only tables."""
    before = DatabaseOperations.execute_sql_flush
    DatabaseOperations.execute_sql_flush = _flush  # type: ignore[method-assign]  # tests only
    try:
        yield
    finally:
        DatabaseOperations.execute_sql_flush = before  # type: ignore[method-assign]  # tests only
