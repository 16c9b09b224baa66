"""The shapes of the ledger's REST answers and questions."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from assay.canonical import parse_json
from ledger.choices import Kind
from ledger.models import Entry, Subject
from ledger.summary import summary

HEX = r"^[0-9a-f]{64}\Z"


class EntriesQuery(serializers.Serializer[Any]):
    """The query of a list: entries below index `before`, and three filters."""

    before = serializers.IntegerField(min_value=0, max_value=2**63 - 1, required=False)
    kind = serializers.ChoiceField(choices=Kind.choices, required=False)
    model = serializers.CharField(max_length=200, required=False)
    digest = serializers.RegexField(HEX, required=False)
    limit = serializers.IntegerField(min_value=1, max_value=200, required=False, default=50)


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
    """One entry, with its statement and subjects."""

    statement = serializers.SerializerMethodField()
    subjects = SubjectSerializer(many=True)

    class Meta(EntrySerializer.Meta):
        fields = (*EntrySerializer.Meta.fields, "statement", "subjects")

    def get_statement(self, entry: Entry) -> Any:
        return parse_json(bytes(entry.payload.payload))
