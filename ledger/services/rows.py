"""Two statements with which claims become rows: one looks whether the log takes any, one writes.

Intake is on the path of every answer, so it asks the database twice, not seven times. The rows come
as one JSON parameter; bytes are base64 in it.

Order inside the one statement: payloads (create-only, and sorted by digest, so that two callers
with the same ones wait for each other and do not lock up), entries, subjects. The caller's commit
is the commit point; the foreign keys are checked there.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from dataclasses import dataclass

from django.db import connection
from django.utils import timezone

from ledger.choices import LeaderState

_CALM = """
SELECT l.id, (SELECT count(*) FROM (SELECT FROM ledger_entry e
  WHERE e.log_id = l.id AND e.index IS NULL LIMIT %s) waiting)
FROM ledger_log l LEFT JOIN ledger_leader d ON d.log_id = l.id
WHERE l.origin = %s AND l.frozen_at IS NULL AND (d.state IS NULL OR d.state = %s)
"""
_WRITE = """
WITH given AS MATERIALIZED (
  SELECT place, decode(pae, 'base64') AS pae, payload_type, decode(payload, 'base64') AS payload,
    decode(signature, 'base64') AS signature, decode(public_key, 'base64') AS public_key,
    fingerprint, decode(leaf_hash, 'base64') AS leaf_hash, kind, model, owner, subjects
  FROM jsonb_to_recordset(%s::jsonb) AS g(place int, pae text, payload_type text, payload text,
    signature text, public_key text, fingerprint text, leaf_hash text, kind text, model text,
    owner text, subjects jsonb)),
payloads AS (
  INSERT INTO ledger_payload (pae_sha256, payload_type, payload, created_at)
  SELECT pae, payload_type, payload, %s FROM given ORDER BY pae ON CONFLICT DO NOTHING),
entries AS (
  INSERT INTO ledger_entry (log_id, payload_id, signature, public_key, fingerprint, leaf_hash, kind,
    model, owner, created_at)
  SELECT %s, pae, signature, public_key, fingerprint, leaf_hash, kind, model, owner, %s
  FROM given ORDER BY place RETURNING id, payload_id, fingerprint),
placed AS MATERIALIZED (
  SELECT g.place, e.id, g.subjects FROM entries e
  JOIN given g ON g.pae = e.payload_id AND g.fingerprint = e.fingerprint),
found AS (
  INSERT INTO ledger_subject (entry_id, name, sha256)
  SELECT p.id, s.value ->> 0, s.value ->> 1
  FROM placed p, jsonb_array_elements(p.subjects) WITH ORDINALITY s ORDER BY p.place, s.ordinality)
SELECT id FROM placed ORDER BY place
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One claim as it is stored; `pae_sha256` and `leaf_hash` are 32 bytes, `subjects` pairs."""

    pae_sha256: bytes
    payload_type: str
    payload: bytes
    signature: bytes
    public_key: bytes
    fingerprint: str
    leaf_hash: bytes
    kind: str
    model: str
    owner: str
    subjects: Sequence[tuple[str, str]]

    def to_dict(self, place: int) -> dict[str, object]:
        """Return the item of the parameter, with its place in the list."""
        return {
            "place": place,
            "pae": _text(self.pae_sha256),
            "payload_type": self.payload_type,
            "payload": _text(self.payload),
            "signature": _text(self.signature),
            "public_key": _text(self.public_key),
            "fingerprint": self.fingerprint,
            "leaf_hash": _text(self.leaf_hash),
            "kind": self.kind,
            "model": self.model,
            "owner": self.owner,
            "subjects": self.subjects,
        }


def calm_log(origin: str, limit: int) -> int | None:
    """Return the key of the log if nothing speaks against it and less than `limit` claims wait.

    None says that somebody has to look closer, not that it takes none.
    """
    with connection.cursor() as cursor:
        cursor.execute(_CALM, [limit, origin, LeaderState.LEADING])
        found = cursor.fetchone()
    return found[0] if found is not None and found[1] < limit else None


def write(log_id: int, rows: Sequence[Row]) -> list[int]:
    """Write claims that are distinct by payload and fingerprint; return their entries' keys.

    Raises:
        IntegrityError: one of them is there, or the log is frozen; nothing is written.
    """
    now = timezone.now()
    items = json.dumps([row.to_dict(place) for place, row in enumerate(rows)])  # noqa: TID251 (columns, neither hashed nor signed)
    with connection.cursor() as cursor:
        cursor.execute(_WRITE, [items, now, log_id, now])
        return [pk for (pk,) in cursor.fetchall()]


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")
