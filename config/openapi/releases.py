"""Releases, aliases, exports, keys, trusted publishers: their shapes and operations."""

from __future__ import annotations

from assay.bundle import MEDIA_TYPE
from config.openapi.contents import SHAPES as CONTENTS
from config.openapi.terms import (
    ANY,
    BASE64,
    COMMIT,
    COUNT,
    FLAG,
    OBJECT,
    PAGED,
    SHA256,
    TEXT,
    TIME,
    Chapter,
    Schema,
    asked,
    described,
    many,
    mapping,
    maybe,
    more,
    one_of,
    op,
    pages,
    part,
    shape,
)
from registry.api import aliases, exports, keys, releases, serializers, trusted
from registry.choices import KeyRole, KeyState

_INDEX = described(maybe(COUNT), "Null until the log has sequenced the entry.")
_RELEASE = shape(
    "A release. An index is one of the log beside it, null while it is pending.",
    model=TEXT,
    version=TEXT,
    number=COUNT,
    revision=COMMIT,
    manifest=SHA256,
    notes=TEXT,
    key=SHA256,
    author=TEXT,
    created_at=TIME,
    yanked_at=maybe(TIME),
    yank_reason=TEXT,
    run=maybe(shape("The run that published it.", issuer=TEXT, claims=OBJECT)),
    claims=mapping(shape(entry=COUNT, log=TEXT, index=_INDEX)),
)
_MEANING = {
    "version": maybe(TEXT),
    "revision": maybe(COMMIT),
    "manifest": maybe(SHA256),
    "yanked_at": maybe(TIME),
    "yank_reason": TEXT,
    "move": maybe(part("Move")),
}
_TRUSTED = shape(
    "A workflow that may publish a model.",
    id=COUNT,
    issuer=TEXT,
    repository=TEXT,
    workflow=TEXT,
    environment=TEXT,
    repository_id=ANY,
    repository_owner_id=ANY,
    created_by=TEXT,
    created_at=TIME,
)
_SIGNED = {
    name: CONTENTS["ReleaseSigning"]["properties"][name]
    for name in ("observed", "model", "revision", "manifest", "resources")
}

SHAPES: dict[str, Schema] = {
    "Release": _RELEASE,
    "ReleaseWhole": more(
        _RELEASE, "A release, and its notes as the page shows them.", notes_html=TEXT
    ),
    "Export": shape(
        name=TEXT,
        title=TEXT,
        content_type=TEXT,
        spec=many(TEXT),
        url=TEXT,
    ),
    "Move": shape(
        "A signed move of an alias.",
        number=COUNT,
        version=TEXT,
        revision=COMMIT,
        manifest=SHA256,
        previous=maybe(COMMIT),
        previous_version=maybe(TEXT),
        key=SHA256,
        author=TEXT,
        note=TEXT,
        moved_at=TIME,
        entry=COUNT,
        log=TEXT,
        index=_INDEX,
        entry_url=TEXT,
        bundle_url=TEXT,
    ),
    "Alias": shape(
        "What an alias means now; of `latest` `implied` is true and `move` null.",
        alias=TEXT,
        implied=FLAG,
        protected=FLAG,
        **_MEANING,
    ),
    "AliasThen": shape("What an alias meant at a time.", alias=TEXT, at=TIME, **_MEANING),
    "AliasSigning": shape(
        "All that a publisher has to see and sign to move an alias.",
        **_SIGNED,
        alias=TEXT,
        version=TEXT,
        previous=maybe(COMMIT),
        previous_version=maybe(TEXT),
    ),
    "Key": shape(
        "A registered key; each index is of the log named beside it.",
        fingerprint=SHA256,
        owner=maybe(TEXT),
        role=one_of(KeyRole),
        state=one_of(KeyState),
        name=TEXT,
        public_key=described(TEXT, "PEM."),
        entry=COUNT,
        log=TEXT,
        index=_INDEX,
        previous=maybe(SHA256),
        superseded_in_log=maybe(TEXT),
        superseded_at_index=maybe(COUNT),
        revoked_in_log=maybe(TEXT),
        revoked_at_index=maybe(COUNT),
        revocation_reason=TEXT,
        created_at=TIME,
        last_used_at=maybe(TIME),
    ),
    "KeyBackup": shape(
        "A private key, wrapped under a passphrase that never leaves its owner's page.",
        fingerprint=SHA256,
        wrapped=BASE64,
        salt=BASE64,
        iterations=COUNT,
        iv=BASE64,
    ),
    "Signer": shape(
        "A run of releases that one key signed.",
        key=SHA256,
        key_name=TEXT,
        state=one_of(KeyState),
        change=one_of(("first", "rotated", "returned", "other")),
        first=TEXT,
        last=TEXT,
        since=TIME,
        until=TIME,
        releases=COUNT,
    ),
    "TrustedPublisher": _TRUSTED,
    "GrantedToken": shape(
        "A token of scope `publish` for one model, for 15 minutes.",
        token=TEXT,
        model=TEXT,
        scope=one_of(("publish",)),
        expires_at=TIME,
    ),
}

# What the log may answer whoever signs something.
_LOGGED = (
    "bad_signature replayed_signature not_allowed conflict duplicate_claim invalid_envelope"
    " log_busy log_held log_stopped log_frozen key_not_registered key_may_not"
)

RELEASES = Chapter(
    name="Releases",
    words="Immutable, numbered, signed; withdrawn with a reason, never deleted.",
    views={
        releases.Releases: {
            "get": op("listReleases", "Releases of a model", pages(part("Release")), asked=PAGED),
            "post": op(
                *("publishRelease", "Publish a release", {201: part("Release")}),
                f"{_LOGGED} not_inspected name_taken unknown_revision unknown_key",
                body=serializers.ReleaseIn,
            ),
        },
        releases.Release: {
            "get": op("getRelease", "One release", part("ReleaseWhole"), "not_released"),
        },
        releases.Yank: {
            "post": op(
                *("yankRelease", "Withdraw a release", part("Release"), "conflict not_released"),
                body=serializers.YankIn,
            ),
        },
        releases.Signature: {
            "get": op(
                *("getModelSignature", "The model signature", part("Bundle")),
                "not_released not_included_yet storage_away log_damaged",
                gives=MEDIA_TYPE,
                raw=True,
            ),
        },
        exports.Exports: {
            "get": op("listExports", "Exports of a release", pages(part("Export")), "not_released"),
        },
        exports.Export: {
            "get": op(
                *("getExport", "One export", {200: ANY, 304: None}),
                "not_released unknown_file store_away",
                asked=(asked("spec", "The version of CycloneDX.", one_of(("1.6", "1.7"))),),
                gives="*/*",
                raw=True,
            ),
        },
    },
)
ALIASES = Chapter(
    name="Aliases",
    words="Movable names for releases; every move is signed and logged.",
    views={
        aliases.Aliases: {
            "get": op("listAliases", "Aliases of a model", pages(part("Alias")), asked=PAGED),
        },
        aliases.Alias: {
            "get": op(
                *("getAlias", "What an alias means, or meant"),
                {"anyOf": [part("Alias"), part("AliasThen")]},
                "not_released",
                asked=(asked("at", "What it meant then.", TIME),),
            ),
        },
        aliases.Moves: {
            "get": op("listMoves", "Its moves", pages(part("Move")), asked=PAGED),
            "post": op(
                *("moveAlias", "Move an alias", {201: part("Move")}),
                f"{_LOGGED} withdrawn name_taken not_released unknown_key",
                body=aliases.MoveIn,
            ),
        },
        aliases.Move: {
            "get": op("getMove", "One move", part("Move")),
        },
        aliases.Signing: {
            "get": op(
                *("getAliasSigning", "What to sign for a move", part("AliasSigning")),
                "withdrawn name_taken not_released log_busy storage_away",
                asked=(asked("version", "Where it shall move."),),
            ),
        },
        aliases.Protection: {
            "get": op("getProtection", "Whether it is protected", part("Alias")),
            "put": op(
                "setProtection", "Protect it, or do not", part("Alias"), body=aliases.ProtectionIn
            ),
        },
    },
)
KEYS = Chapter(
    name="Keys",
    words="Public keys of owners, their succession, and who signed what.",
    views={
        keys.Keys: {
            "get": op(
                *("listKeys", "Keys", pages(part("Key"))),
                asked=(asked("owner", "Only an owner's."), *PAGED),
            ),
            "post": op(
                *("registerKey", "Register a key", {201: part("Key")}),
                f"{_LOGGED} unknown_owner",
                body=serializers.KeyIn,
            ),
        },
        keys.Key: {
            "get": op("getKey", "One key", part("Key")),
            "patch": op("renameKey", "Name it anew", part("Key"), body=serializers.KeyNameIn),
        },
        keys.Rotation: {
            "post": op(
                *("rotateKey", "Let a new key take its place", {201: part("Key")}),
                _LOGGED,
                body=serializers.RotationIn,
            ),
        },
        keys.Revocation: {
            "post": op(
                *("revokeKey", "Revoke a key", part("Key"), _LOGGED),
                body=serializers.RevocationIn,
            ),
        },
        keys.Backup: {
            "get": op("getKeyBackup", "Your wrapped private key", part("KeyBackup")),
            "put": op(
                "setKeyBackup", "Keep it wrapped", part("KeyBackup"), body=serializers.BackupIn
            ),
        },
        keys.Signers: {
            "get": op("listSigners", "Who signed a model", pages(part("Signer")), asked=PAGED),
        },
    },
)
TRUSTED = Chapter(
    name="Trusted publishing",
    words="Builds that may publish, by the ID tokens of their runs.",
    views={
        trusted.Publishers: {
            "get": op(
                *("listTrustedPublishers", "Which workflows may publish"),
                pages(part("TrustedPublisher")),
                "not_allowed",
                asked=PAGED,
            ),
            "post": op(
                *("trustPublisher", "Trust a workflow", {201: part("TrustedPublisher")}),
                "conflict",
                body=trusted.PublisherIn,
            ),
        },
        trusted.Publisher: {
            "delete": op("distrustPublisher", "Trust it no more", None),
        },
        trusted.Exchange: {
            "post": op(
                *("exchangeIdToken", "Exchange an ID token", {201: part("GrantedToken")}),
                "bad_token untrusted_issuer issuer_away replayed_token not_allowed"
                " unknown_model unknown_publisher moved",
                body=trusted.ExchangeIn,
            ),
        },
    },
)
CHAPTERS = (RELEASES, ALIASES, KEYS, TRUSTED)
