"""The shapes of the ledger's REST answers and questions."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from rest_framework import serializers

from assay.canonical import parse_json
from assay.note import parse_line
from ledger.choices import Kind
from ledger.logs import address_of
from ledger.models import Checkpoint, Cosignature, Entry, Log, Subject
from ledger.summary import summary

HEX = r"^[0-9a-f]{64}\Z"


class LogQuery(serializers.Serializer[Any]):
    """Which log is asked: the origin, or nothing for the current one."""

    log = serializers.CharField(max_length=253, required=False, default="", allow_blank=True)


class PageQuery(LogQuery):
    """The query of a list: what is below `before`, or right above `after`; -1 is from the start."""

    before = serializers.IntegerField(min_value=0, max_value=2**63 - 1, required=False)
    after = serializers.IntegerField(min_value=-1, max_value=2**63 - 2, required=False)
    limit = serializers.IntegerField(min_value=1, max_value=200, required=False, default=50)


class EntriesQuery(PageQuery):
    """The query of the entries: a page, and filters that must all hold."""

    kind = serializers.ChoiceField(choices=Kind.choices, required=False)
    model = serializers.CharField(max_length=200, required=False)
    owner = serializers.CharField(max_length=100, required=False)
    signer = serializers.RegexField(HEX, required=False)
    digest = serializers.RegexField(HEX, required=False)


class SubjectSerializer(serializers.ModelSerializer[Subject]):
    """What a statement is about."""

    class Meta:
        model = Subject
        fields = ("name", "sha256")


class EntrySerializer(serializers.ModelSerializer[Entry]):
    """An entry in a list. `payload` is the hex SHA-256 of the PAE, the address of the envelope."""

    payload = serializers.SerializerMethodField()
    leaf_hash = serializers.SerializerMethodField()
    summary = serializers.SerializerMethodField()

    class Meta:
        model = Entry
        fields: tuple[str, ...] = (
            "index",
            "kind",
            "model",
            "owner",
            "fingerprint",
            "created_at",
            "payload",
            "leaf_hash",
            "summary",
        )

    def get_payload(self, entry: Entry) -> str:
        return bytes(entry.payload_id).hex()

    def get_leaf_hash(self, entry: Entry) -> str:
        return bytes(entry.leaf_hash).hex()

    def get_summary(self, entry: Entry) -> str:
        return summary(entry)


class EntryDetailSerializer(EntrySerializer):
    """One entry, with its log's origin, its statement and its subjects."""

    log = serializers.CharField(source="log.origin")
    statement = serializers.SerializerMethodField()
    subjects = SubjectSerializer(many=True)

    class Meta(EntrySerializer.Meta):
        fields = ("log", *EntrySerializer.Meta.fields, "statement", "subjects")

    def get_statement(self, entry: Entry) -> Any:
        return parse_json(bytes(entry.payload.payload))


class CosignatureSerializer(serializers.ModelSerializer[Cosignature]):
    """A witness's line: `witness` is the name in the line, `time` what the witness signed."""

    time = serializers.DateTimeField(source="seen_at")
    key_id = serializers.SerializerMethodField()

    class Meta:
        model = Cosignature
        fields = ("witness", "key_id", "time")

    def get_key_id(self, row: Cosignature) -> str:
        return parse_line(row.line).key_id.hex()


class CheckpointSerializer(serializers.ModelSerializer[Checkpoint]):
    """A published checkpoint, without its note: that is at `/log/checkpoint` while it is new."""

    cosignatures = CosignatureSerializer(many=True)

    class Meta:
        model = Checkpoint
        fields = ("size", "signed_at", "published_at", "cosignatures")

    def to_representation(self, checkpoint: Checkpoint) -> dict[str, Any]:
        # A serializer has a `root` of its own, so this is no field.
        return {**super().to_representation(checkpoint), "root": bytes(checkpoint.root).hex()}


class LogSerializer(serializers.ModelSerializer[Log]):
    """A log: `current` tells whether new entries go there."""

    current = serializers.SerializerMethodField()
    url = serializers.SerializerMethodField()

    class Meta:
        model = Log
        fields = ("origin", "vkey", "url", "size", "frozen_at", "successor", "current")

    def get_current(self, log: Log) -> bool:
        return log.origin == settings.LEDGER_ORIGIN

    def get_url(self, log: Log) -> str:
        return address_of(log)
