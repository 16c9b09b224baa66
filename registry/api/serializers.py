"""The shape of what comes in. What it means is asked by the services."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from registry.choices import Visibility


class _Digest(serializers.RegexField):
    """Hex SHA-256."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(r"\A[0-9a-f]{64}\Z", **kwargs)


class UploadIn(serializers.Serializer[Any]):
    """`POST uploads`."""

    size = serializers.IntegerField(min_value=0, max_value=2**53 - 1)
    sha256 = _Digest()
    part_size = serializers.IntegerField(
        min_value=1, max_value=2**53 - 1, required=False, allow_null=True, default=None
    )
    model = serializers.CharField(max_length=200, required=False, allow_null=True, default=None)
    direct = serializers.BooleanField(required=False, default=False)


class PartsIn(serializers.Serializer[Any]):
    """`POST uploads/<id>/addresses`: numbers of parts, from 0."""

    parts = serializers.ListField(
        child=serializers.IntegerField(min_value=0, max_value=10_000), min_length=1, max_length=1000
    )


class ModelIn(serializers.Serializer[Any]):
    """`POST models`."""

    owner = serializers.CharField(max_length=96, required=False, allow_null=True, default=None)
    name = serializers.CharField(max_length=200)
    visibility = serializers.ChoiceField(choices=Visibility.choices, default=Visibility.PUBLIC)


class FileIn(serializers.Serializer[Any]):
    """One file of a tree; white space in a path is part of it."""

    path = serializers.CharField(max_length=4096, trim_whitespace=False)
    sha256 = _Digest()


class RevisionIn(serializers.Serializer[Any]):
    """`POST …/revisions`: the whole tree."""

    files = serializers.ListField(child=FileIn(), allow_empty=False, max_length=10_000)
    message = serializers.CharField(max_length=500, allow_blank=True, default="")

    def get_fields(self) -> dict[str, serializers.Field[Any, Any, Any, Any]]:
        # `parent` is an attribute of every serializer, so the field cannot be declared by name.
        parent = serializers.RegexField(r"\A[0-9a-f]{40}\Z", allow_null=True, default=None)
        return {**super().get_fields(), "parent": parent}


class ClaimsIn(serializers.Serializer[Any]):
    """The three envelopes of a release."""

    oms = serializers.DictField()
    card = serializers.DictField()
    release = serializers.DictField()


class ReleaseIn(serializers.Serializer[Any]):
    """`POST …/releases`."""

    revision = serializers.RegexField(r"\A[0-9a-f]{40}\Z")
    version = serializers.CharField(max_length=200)
    notes = serializers.CharField(max_length=20_000, allow_blank=True, default="")
    claims = ClaimsIn()
    key = _Digest()


class YankIn(serializers.Serializer[Any]):
    """`POST …/releases/{version}/yank`."""

    reason = serializers.CharField(max_length=500)


class KeyIn(serializers.Serializer[Any]):
    """`POST keys`."""

    envelope = serializers.DictField()
    name = serializers.CharField(max_length=80)


class KeyNameIn(serializers.Serializer[Any]):
    """`PATCH keys/{fingerprint}`."""

    name = serializers.CharField(max_length=80)


class RotationIn(serializers.Serializer[Any]):
    """`POST keys/{fingerprint}/rotation`: one statement, signed by the new key and by this one."""

    envelope = serializers.DictField()
    previous = serializers.DictField()
    name = serializers.CharField(max_length=80)


class RevocationIn(serializers.Serializer[Any]):
    """`POST keys/{fingerprint}/revocation`."""

    envelope = serializers.DictField()
    reason = serializers.CharField(max_length=300)


class BackupIn(serializers.Serializer[Any]):
    """`PUT keys/{fingerprint}/backup`; bytes in base64."""

    wrapped = serializers.CharField(max_length=8192)
    salt = serializers.CharField(max_length=128)
    iterations = serializers.IntegerField(min_value=1, max_value=2**31 - 1)
    iv = serializers.CharField(max_length=64)
