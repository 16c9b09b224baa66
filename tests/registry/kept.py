"""All that a site has stored, rows and folders: remembered, compared, and brought back."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from django.db import connection

from tests.flush import triggers_off

_TABLES = """
SELECT relname FROM pg_class
WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace AND relname NOT IN
  ('django_migrations', 'django_content_type', 'auth_permission')
ORDER BY relname
"""


class Table(NamedTuple):
    """How many rows a table has, and a digest of them all."""

    rows: int
    digest: str | None


State = dict[str, Table]


class Kept:
    """Every row of the database, and these folders. For tests that commit."""

    def __init__(self, kept: Path, folders: Iterable[Path]) -> None:
        self._copies = {folder: kept / folder.name for folder in folders}
        for folder, copy in self._copies.items():
            folder.mkdir(exist_ok=True)
            shutil.copytree(folder, copy)
        with connection.cursor() as cursor:
            cursor.execute(_TABLES)
            self._tables = [name for (name,) in cursor.fetchall()]
            cursor.execute("CREATE SCHEMA kept")
            for name in self._tables:
                cursor.execute(f'CREATE TABLE kept."{name}" AS TABLE public."{name}"')
        self.state = self.now()

    def now(self) -> State:
        """Return how every table stands."""
        query = " UNION ALL ".join(
            f"SELECT '{name}', count(*), md5(string_agg(t::text, '' ORDER BY t::text))"  # noqa: S608 (our own names)
            f' FROM public."{name}" t'
            for name in self._tables
        )
        with connection.cursor() as cursor:
            cursor.execute(query)
            return {name: Table(rows, digest) for name, rows, digest in cursor.fetchall()}

    def restore(self) -> None:
        """Bring back what has changed."""
        for folder, copy in self._copies.items():
            shutil.rmtree(folder)
            shutil.copytree(copy, folder)
        changed = [name for name, table in self.now().items() if table != self.state[name]]
        with triggers_off(), connection.cursor() as cursor:
            for name in changed:
                cursor.execute(f'DELETE FROM public."{name}"')  # noqa: S608 (our own names)
                cursor.execute(f'INSERT INTO public."{name}" TABLE kept."{name}"')

    def forget(self) -> None:
        """Drop the copies: the flush after a test knows nothing of them."""
        with connection.cursor() as cursor:
            cursor.execute("DROP SCHEMA kept CASCADE")
