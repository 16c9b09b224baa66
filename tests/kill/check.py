"""What must hold when all is quiet, whatever was killed."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from assay.bundle import parse_bundle
from assay.policy import parse_policy, parse_trusted_root
from assay.verify import parse_keys, verify_receipt
from tests.kill.load import CALLERS, Told, call
from tests.kill.site import Site

# Each of these finds no row.
INVARIANTS = {
    "all have ended": "SELECT id FROM inference_execution WHERE state IN ('queued', 'running')",
    "success and entry go together": """
        SELECT id FROM inference_execution WHERE (state = 'succeeded') <> (entry_id IS NOT NULL)""",
    "no statement without its execution": """
        SELECT id FROM ledger_entry n WHERE kind = 'execution' AND NOT EXISTS (
          SELECT FROM inference_execution e WHERE e.entry_id = n.id AND e.state = 'succeeded')""",
    "no statement of a replay without its replay": """
        SELECT id FROM ledger_entry n WHERE kind = 'replay' AND NOT EXISTS (
          SELECT FROM inference_replay r WHERE r.entry_id = n.id AND r.state = 'done')""",
    "no entry twice": """
        SELECT entry_id FROM inference_execution WHERE entry_id IS NOT NULL
        GROUP BY 1 HAVING count(*) > 1""",
    "no key twice": """
        SELECT caller_id, idempotency_key FROM inference_execution
        WHERE idempotency_key IS NOT NULL GROUP BY 1, 2 HAVING count(*) > 1""",
    "no statement about one execution twice": """
        SELECT name FROM (
          SELECT convert_from(p.payload, 'UTF8')::jsonb->'predicate'->>'execution' AS name
          FROM ledger_entry n JOIN ledger_payload p ON p.pae_sha256 = n.payload_id
          WHERE n.kind = 'execution') s GROUP BY 1 HAVING count(*) > 1""",
    "every entry has its place": "SELECT id FROM ledger_entry WHERE index IS NULL",
    "no gap and no fork": """
        SELECT l.size FROM ledger_log l, (
          SELECT count(index) n, coalesce(max(index) + 1, 0) m FROM ledger_entry) s
        WHERE (s.n, s.m) <> (l.size, l.size)""",
    "never more attempts than allowed": """
        SELECT id FROM inference_execution WHERE attempts > max_attempts""",
}
ROWS = """
    SELECT e.id::text, e.input_id, e.state, e.attempts, e.idempotency_key, e.receipt,
      i.inline, o.inline
    FROM inference_execution e JOIN inference_tensors i ON i.sha256 = e.input_id
    LEFT JOIN inference_tensors o ON o.sha256 = e.output_id WHERE e.input_id = ANY(%s)"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """What the database says of one execution."""

    id: str
    input: str
    state: str
    attempts: int
    key: str | None
    receipt: str
    input_set: bytes
    output_set: bytes | None


def rows_of(site: Site, told: list[Told]) -> dict[str, list[Row]]:
    """Return the rows that came from each request, by the digest of its input."""
    found: dict[str, list[Row]] = {one.ask.input_sha256: [] for one in told}
    for row in site.rows(ROWS, list(found)):
        values = dict(zip(Row.__dataclass_fields__, row, strict=True))
        found[row[1]].append(Row(**values))
    return found


def check(site: Site, told: list[Told]) -> None:
    """Check everything."""
    for name, query in INVARIANTS.items():
        found = site.rows(query)
        assert found == [], f"{name}: {found[:5]}{site.tails()}"
    rows = rows_of(site, told)
    for one in told:
        _check_caller(one, rows[one.ask.input_sha256])
    ended = [row for found in rows.values() for row in found if row.state == "succeeded"]
    trust = _Trust.of(site)
    with ThreadPoolExecutor(CALLERS) as readers:
        list(readers.map(lambda row: trust.check(site, row), ended))


def _check_caller(told: Told, rows: list[Row]) -> None:
    """Hold what a caller was told against what is there."""
    by_id = {row.id: row for row in rows}
    assert told.executions <= set(by_id), f"told of one that is not there: {told}"
    for execution in told.executions:
        assert by_id[execution].state == "succeeded", (told, by_id[execution])
    won = [row for row in rows if row.state == "succeeded"]
    assert len(won) <= 1, f"ran to two ends: {won}"
    if told.ask.key is None:
        assert len(rows) <= 1, f"asked once, written twice: {rows}"
    else:
        assert [row.key for row in won] == [told.ask.key]
        assert told.executions == {won[0].id}
    answers = [
        body for status, body in zip(told.statuses, told.bodies, strict=True) if status == 200
    ]
    assert len(set(answers)) <= 1, f"equal keys, other bytes: {answers}"
    for body in answers:
        said = json.loads(body)
        shown = said["receipt"] if told.ask.queued else said["parameters"]["receipt"]
        assert shown == won[0].receipt, "a statement was shown that is not the one that counts"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Trust:
    """What a stranger trusts: the log, its policy, the executors' keys."""

    root: Any
    policy: Any
    keys: Any

    @classmethod
    def of(cls, site: Site) -> _Trust:
        base = "/.well-known/assay"
        return cls(
            root=parse_trusted_root(_get(site, f"{base}/trusted_root.json")),
            policy=parse_policy(_get(site, f"{base}/witness-policy.txt")),
            keys=parse_keys(_get(site, f"{base}/keys.json")),
        )

    def check(self, site: Site, row: Row) -> None:
        """Verify a receipt against the stored tensors, as `assay verify` does."""
        data = _get(site, f"/executions/{row.id}/receipt?wait=30")
        verify_receipt(
            data,
            key=self.keys.find(parse_bundle(data).hint),
            trusted_root=self.root,
            policy=self.policy,
            output=row.output_set,
            input=row.input_set,
        )


def _get(site: Site, path: str) -> bytes:
    status, body = call(site, "GET", path)
    assert status == 200, f"{path}: {status} {body[:300]!r}"
    return body
