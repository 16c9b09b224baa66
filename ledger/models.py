"""The rows of the log. PostgreSQL refuses to change what is written and to delete anything.

An entry is born without an index (pending), gets one once, and never changes again; triggers in
migration 0002 hold that against every program that speaks SQL. Tiles and bundles are a pure
function of these rows.
"""

from __future__ import annotations

from django.db import models
from django.db.models import Q

from ledger.choices import Kind, LeaderState


class Log(models.Model):
    """One append-only log: its origin and key, and the head that the sequencer alone moves.

    `place` is where its files lie under the storage's root. `term` counts leaders: only the newest
    one's writes count. A frozen log may name its `successor`, the origin that goes on.
    """

    origin = models.CharField(max_length=253, unique=True)
    vkey = models.CharField(max_length=400)
    url = models.CharField(max_length=400, blank=True)
    place = models.CharField(max_length=300, blank=True)
    term = models.BigIntegerField(default=0)
    successor = models.CharField(max_length=253, blank=True)
    size = models.BigIntegerField(default=0)
    root = models.BinaryField(max_length=32)
    frozen_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = (models.CheckConstraint(condition=Q(size__gte=0), name="log_size_natural"),)

    def __str__(self) -> str:
        return self.origin


class Leader(models.Model):
    """What the log's sequencer says of itself: the only row here that may go back and forth.

    Nothing durable rests on it; pages and intake read it to say why nothing is logged now.
    """

    log = models.OneToOneField(Log, on_delete=models.PROTECT, primary_key=True)
    term = models.BigIntegerField()
    name = models.CharField(max_length=200, help_text="host and process")
    state = models.CharField(max_length=16, choices=LeaderState)
    reason = models.CharField(max_length=1000, blank=True)
    since = models.DateTimeField()
    beat_at = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.name} {self.state}"


class StagedPayload(models.Model):
    """A payload that somebody may log soon, under SHA-256 of its PAE; swept when nobody does.

    `staged_by` names who brought it: `key:<fingerprint>` or `user:<id>`.
    """

    pae_sha256 = models.BinaryField(primary_key=True, max_length=32)
    payload_type = models.CharField(max_length=100)
    payload = models.BinaryField()
    staged_by = models.CharField(max_length=80, db_index=True)
    created_at = models.DateTimeField(auto_now_add=True, db_index=True)

    def __str__(self) -> str:
        return bytes(self.pae_sha256).hex()


class Allowance(models.Model):
    """A token bucket: how much `name` may still ask of the open interfaces, as of `at`."""

    name = models.CharField(max_length=80, primary_key=True)
    tokens = models.FloatField()
    at = models.DateTimeField()

    def __str__(self) -> str:
        return self.name


class Payload(models.Model):
    """What a DSSE envelope carries, under SHA-256 of its PAE; stored before any leaf names it."""

    pae_sha256 = models.BinaryField(primary_key=True, max_length=32)
    payload_type = models.CharField(max_length=100)
    payload = models.BinaryField()
    created_at = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return bytes(self.pae_sha256).hex()


class Entry(models.Model):
    """One claim: a signature by one key over one payload. `index` is NULL while it is pending."""

    # Each index costs a write at intake and another one when the entry gets its place: the foreign
    # keys have none of their own where a constraint begins with them.
    log = models.ForeignKey(Log, on_delete=models.PROTECT, related_name="entries", db_index=False)
    index = models.BigIntegerField(null=True, blank=True)
    payload = models.ForeignKey(
        Payload, on_delete=models.PROTECT, related_name="entries", db_index=False
    )
    signature = models.BinaryField()
    public_key = models.BinaryField()
    fingerprint = models.CharField(max_length=64)
    leaf_hash = models.BinaryField(max_length=32, unique=True)
    kind = models.CharField(max_length=16, choices=Kind)
    model = models.CharField(max_length=200, blank=True)
    owner = models.CharField(max_length=100, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = (
            # What waits is in no index by place: the sequencer finds it by `entry_pending` alone.
            models.UniqueConstraint(
                fields=("log", "index"),
                condition=Q(index__isnull=False),
                name="entry_index_unique",
            ),
            models.UniqueConstraint(fields=("payload", "fingerprint"), name="entry_claim_unique"),
            models.CheckConstraint(
                condition=Q(index__isnull=True) | Q(index__gte=0), name="entry_index_natural"
            ),
        )
        indexes = (
            models.Index(
                fields=("log", "id"), condition=Q(index__isnull=True), name="entry_pending"
            ),
            # The log comes first: the indices of two logs overlap, and a page is of one log.
            models.Index(fields=("log", "kind", "-index"), name="entry_kind_newest"),
            models.Index(fields=("log", "model", "-index"), name="entry_model_newest"),
            models.Index(fields=("log", "owner", "-index"), name="entry_owner_newest"),
            models.Index(fields=("log", "fingerprint", "-index"), name="entry_signer_newest"),
        )

    def __str__(self) -> str:
        return f"{self.kind} #{'pending' if self.index is None else self.index}"


class Subject(models.Model):
    """A digest that an entry's statement is about: the search index over the log."""

    entry = models.ForeignKey(Entry, on_delete=models.PROTECT, related_name="subjects")
    name = models.CharField(max_length=1024)
    sha256 = models.CharField(max_length=64, db_index=True)

    def __str__(self) -> str:
        return self.name


class Checkpoint(models.Model):
    """A signed tree head. It is stored here before anyone sees it; `note` is the log's own line."""

    log = models.ForeignKey(Log, on_delete=models.PROTECT, related_name="checkpoints")
    size = models.BigIntegerField()
    root = models.BinaryField(max_length=32)
    note = models.BinaryField()
    signed_at = models.DateTimeField()
    published_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = (
            models.UniqueConstraint(fields=("log", "size"), name="checkpoint_size_unique"),
        )
        get_latest_by = "size"

    def __str__(self) -> str:
        return f"{self.log_id}@{self.size}"


class Cosignature(models.Model):
    """One witness's line under a checkpoint."""

    checkpoint = models.ForeignKey(
        Checkpoint, on_delete=models.PROTECT, related_name="cosignatures"
    )
    witness = models.CharField(max_length=253)
    key_id = models.CharField(max_length=8, blank=True, help_text="hex")
    line = models.CharField(max_length=1000)
    seen_at = models.DateTimeField(help_text="the time that the witness signed")

    class Meta:
        constraints = (
            models.UniqueConstraint(
                fields=("checkpoint", "witness", "key_id"), name="cosignature_unique"
            ),
        )

    def __str__(self) -> str:
        return f"{self.witness} on {self.checkpoint_id}"
