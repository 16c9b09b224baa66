"""A whole log, read and checked: its tiles, its bundles, and the claims that its leaves are about.

The rules, each of which is a check below:

1. Size and root come from a checkpoint whose signature was verified; nothing else is trusted. The
   tiles at the right edge must rebuild the root, and a full tile of any level must hash to its
   place in the tile above, so every hash that is handed out is tied to the root.
2. The entries of a bundle must hash to the leaves of the level-0 tile.
3. An entry is a `hashedrekord` body in its one spelling. The source has the envelope that it is
   about: with that digest, with that signature among its signatures, which is the key's; and the
   body that they make is the entry.
4. The payload is a statement, strictly.

Memory does not grow with the log: one tile a level is held, and one bundle.

    for entry in read_entries(source, 0, verified.checkpoint):
        print(entry.index, entry.key.fingerprint, entry.statement.predicate_type)
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Protocol

from assay.canonical import (
    as_list,
    as_object,
    as_text,
    canonical_json,
    decode_base64,
    encode_base64,
    parse_json,
)
from assay.checkpoint import Checkpoint
from assay.digests import sha256
from assay.dsse import (
    PAYLOAD_TYPE,
    Envelope,
    PublicKey,
    load_public_key,
    pae,
    parse_rekor_body,
    rekor_body,
    verify_envelope,
)
from assay.errors import FormatError, MissingError, MisuseError, VerificationError
from assay.merkle import leaf_hash, root_from, root_of
from assay.statements import Statement, parse_statement
from assay.tiles import (
    TILE_HEIGHT,
    TILE_WIDTH,
    Tile,
    TileReader,
    TileSource,
    decode_entries,
    decode_hashes,
)


class LogSource(Protocol):
    """Where a log's files come from: a folder, the network."""

    def tile(self, tile: Tile) -> bytes:
        """Return the bytes of `tile`; raises as `envelope`."""

    def envelope(self, pae_sha256: bytes) -> bytes:
        """Return the JSON of the envelope stored under this 32-byte digest.

        Raises `MissingError` when the answer is that there is none, `UnavailableError` otherwise.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class Bundle:
    """The entries of one bundle under the tree: `bodies[i]` is entry `first + i`."""

    first: int
    bodies: tuple[bytes, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """What an entry says: `key` signed, with `signature` (DER), what hashes to `pae_sha256`."""

    index: int
    body: bytes
    pae_sha256: bytes
    signature: bytes
    key: PublicKey


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredEnvelope:
    """An in-toto payload and every signature over it that is logged, in log order (DER)."""

    payload: bytes
    signatures: tuple[bytes, ...]

    @property
    def pae_sha256(self) -> bytes:
        """The 32 bytes under which it is stored."""
        return sha256(pae(self.payload))

    def to_json(self) -> bytes:
        """Return the RFC 8785 form, as `GET /log/envelopes/<hex>` answers it."""
        return canonical_json(
            {
                "payload": encode_base64(self.payload),
                "payloadType": PAYLOAD_TYPE,
                "signatures": [{"sig": encode_base64(value)} for value in self.signatures],
            }
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class LoggedEntry:
    """An entry of the log with the claim that it is about; all of it was checked.

    `told` are the signatures over this payload that the source told, unchecked but for one.
    """

    index: int
    body: bytes
    pae_sha256: bytes
    envelope: Envelope
    key: PublicKey
    statement: Statement
    told: tuple[bytes, ...] = ()


class TreeReader(TileReader):
    """Hashes out of the tiles of one signed tree, each tied to its root. Made by `check_tree`.

    Holds the tiles of the right edge, which rebuilt the root, and one more tile a level.
    """

    def __init__(self, source: TileSource, size: int) -> None:
        super().__init__(source, size)
        self._edge: dict[int, list[bytes]] = {}
        self._last: dict[int, tuple[int, list[bytes]]] = {}

    def hashes(self, level: int, index: int) -> list[bytes]:
        """Return the hashes of a tile, as many as the tree has there.

        Raises:
            MisuseError: the tree has no such tile.
            FormatError: the tile has another width.
            VerificationError: it is not what the tile above says.
            MissingError, UnavailableError: it is not there, or cannot be had.
        """
        width = width_at(self._size, level, index)
        kept = self._edge.get(level) if width < TILE_WIDTH else None
        if kept is None and level in self._last and self._last[level][0] == index:
            kept = self._last[level][1]
        if kept is None:
            kept = self._load(Tile(level=level, index=index, width=width))
        return kept

    def _tile(self, level: int, index: int) -> list[bytes]:
        return self.hashes(level, index)

    def _load(self, tile: Tile) -> list[bytes]:
        level = tile.level or 0
        if tile.width < TILE_WIDTH:
            self._edge[level] = read_tile(self._source, tile)
            return self._edge[level]
        # First the one above: what does not agree with it is then what was read last.
        above = self.hashes(level + 1, tile.index // TILE_WIDTH)[tile.index % TILE_WIDTH]
        hashes = read_tile(self._source, tile)
        root = root_of(hashes)
        if root != above:
            raise VerificationError(
                f"{tile.path} is not what the tile above says",
                expected=above.hex(),
                found=root.hex(),
            )
        self._last[level] = tile.index, hashes
        return hashes


def width_at(size: int, level: int | None, index: int) -> int:
    """Return the width, 1…256, that tile `index` has in a tree of `size` leaves; None: a bundle.

    Raises:
        MisuseError: the tree has no such tile.
    """
    width = min(TILE_WIDTH, (size >> (TILE_HEIGHT * (level or 0))) - index * TILE_WIDTH)
    if width < 1 or index < 0:
        raise MisuseError(f"a log of {size} entries has no tile {level}/{index}")
    return width


def fetch_tile(source: TileSource, tile: Tile) -> tuple[Tile, bytes]:
    """Return the bytes of `tile`, or of the full one if the partial one is not there any more.

    A log may drop a partial tile once the full one exists.

    Raises:
        MissingError: neither is there.
        UnavailableError: it cannot be had.
    """
    try:
        return tile, source.tile(tile)
    except MissingError:
        if tile.width == TILE_WIDTH:
            raise
        try:
            return tile.full, source.tile(tile.full)
        except MissingError:
            pass
        raise


def check_tree(
    source: TileSource, checkpoint: Checkpoint, old: Checkpoint | None = None
) -> TreeReader:
    """Check that the tiles rebuild the tree of `checkpoint`, and that it begins with that of `old`.

    The signatures of both were verified by the caller. Reads the right edge, and for `old` the path
    to its last leaf; the returned reader checks the other tiles as it reads them.

    Raises:
        FormatError: a tile has another width than its path says.
        VerificationError: the tiles give another root; the tree is smaller than `old`, or does not
            begin with it.
        MissingError, UnavailableError: a tile is not there, or cannot be had.
    """
    reader = TreeReader(source, checkpoint.size)
    _compare(
        f"the tiles are not those of the tree of {checkpoint.size} leaves",
        checkpoint.root,
        root_from(checkpoint.size, reader),
    )
    if old is not None:
        if old.size > checkpoint.size:
            raise VerificationError(
                "the tree shrank",
                expected=f"at least {old.size} leaves",
                found=str(checkpoint.size),
            )
        _compare(
            f"the tree of {checkpoint.size} leaves does not begin with the tree of {old.size}",
            old.root,
            root_from(old.size, reader),
        )
    return reader


def _compare(message: str, expected: bytes, found: bytes) -> None:
    if expected != found:
        raise VerificationError(message, expected=expected.hex(), found=found.hex())


def disputed_tile(source: TileSource, size: int) -> str:
    """Return the path of the lowest tile at the right edge that does not fit what is under it.

    For a report, when `check_tree` says only that the root is another one; `""` if each of them
    fits, so that all of it is another tree's. Raises as `TreeReader.hashes`.
    """
    level = 0
    while size >> (TILE_HEIGHT * level):
        index, width = divmod(size >> (TILE_HEIGHT * level), TILE_WIDTH)
        if width:
            tile = Tile(level=level, index=index, width=width)
            if read_tile(source, tile) != _under(source, tile):
                return tile.path
        level += 1
    return ""


def _under(source: TileSource, tile: Tile) -> list[bytes]:
    """Return the hashes that `tile` should have, from the tiles or the bundle under it."""
    if not tile.level:
        return [leaf_hash(body) for body in read_tile(source, replace(tile, level=None))]
    first = tile.index * TILE_WIDTH
    numbers = range(first, first + tile.width)
    below = (Tile(level=tile.level - 1, index=number) for number in numbers)
    return [root_of(read_tile(source, child)) for child in below]


def read_tile(source: TileSource, tile: Tile) -> list[bytes]:
    """Return the hashes of a tile, or the entries of a bundle, as many as it is wide; unchecked.

    Raises:
        FormatError: it has another width; the path says which tile.
        MissingError, UnavailableError: as `fetch_tile`.
    """
    found, data = fetch_tile(source, tile)
    decode = decode_entries if tile.level is None else decode_hashes
    try:
        return decode(data, found.width)[: tile.width]
    except FormatError as error:
        raise FormatError(str(error), found.path) from error


def read_bundles(
    source: TileSource, start: int, checkpoint: Checkpoint, reader: TreeReader | None = None
) -> Iterator[Bundle]:
    """Yield the bundles of the tree from the one with entry `start` on, checked against the tiles.

    `reader` is what `check_tree` returned for this checkpoint; without it the tree is checked here.

    Raises:
        MisuseError: the tree ends before `start`.
        FormatError: a bundle is not the format.
        VerificationError: an entry is not the tile's leaf, or as `check_tree`.
        MissingError, UnavailableError: as `check_tree`.
    """
    if not 0 <= start <= checkpoint.size:
        raise MisuseError(f"a tree of {checkpoint.size} leaves has no entry {start}")
    reader = reader or check_tree(source, checkpoint)
    for number in range(start // TILE_WIDTH, -(-checkpoint.size // TILE_WIDTH)):
        width = width_at(checkpoint.size, None, number)
        leaves = reader.hashes(0, number)
        tile = Tile(level=None, index=number, width=width)
        bodies = read_tile(source, tile)
        first = number * TILE_WIDTH
        for index, (body, leaf) in enumerate(zip(bodies, leaves, strict=True), start=first):
            _compare(f"entry {index} in {tile.path} is not the leaf", leaf, leaf_hash(body))
        yield Bundle(first=first, bodies=tuple(bodies))


def parse_claim(index: int, body: bytes) -> Claim:
    """Return what entry `index` says.

    Raises:
        VerificationError: the log should not hold such an entry: it is no claim of this format.
    """
    try:
        digest, signature, spki = parse_rekor_body(body)
        key = load_public_key(spki)
    except (FormatError, MisuseError) as error:
        raise VerificationError(f"entry {index}: {error}") from error
    claim = Claim(index=index, body=body, pae_sha256=digest, signature=signature, key=key)
    if rekor_body(digest, signature, key.spki) != body:
        raise VerificationError(f"entry {index}: the key is not in its one DER form")
    return claim


def parse_stored(data: bytes) -> StoredEnvelope:
    """Read the JSON of `GET /log/envelopes/<hex>`: one payload, one signature or more.

    Raises:
        FormatError: not that JSON in RFC 8785 form, another payload type, or no signature.
    """
    fields = as_object(
        parse_json(data), "envelope", required=("payload", "payloadType", "signatures")
    )
    kind = as_text(fields["payloadType"], "payloadType")
    if kind != PAYLOAD_TYPE:
        raise FormatError(f"is not {PAYLOAD_TYPE!r}", "payloadType")
    signatures = []
    for number, value in enumerate(as_list(fields["signatures"], "signatures")):
        path = f"signatures[{number}]"
        item = as_object(value, path, required=("sig",))
        signatures.append(decode_base64(item["sig"], f"{path}.sig"))
    if not signatures:
        raise FormatError("an envelope has a signature", "signatures")
    stored = StoredEnvelope(
        payload=decode_base64(fields["payload"], "payload"), signatures=tuple(signatures)
    )
    if stored.to_json() != data:
        raise FormatError("the envelope is not in RFC 8785 form")
    return stored


def check_claim(claim: Claim, data: bytes) -> LoggedEntry:
    """Check that `data`, the stored envelope's JSON, is what `claim` is about; return the entry.

    Raises:
        VerificationError: it is malformed or another claim's, the signature is not among its
            signatures or not the key's, or the payload is no statement. It names the entry.
    """
    try:
        stored = parse_stored(data)
        envelope = Envelope(payload=stored.payload, signature=claim.signature)
        _compare("the envelope is another claim's", claim.pae_sha256, envelope.pae_sha256)
        if claim.signature not in stored.signatures:
            raise VerificationError("the envelope lacks the signature that is logged")
        verify_envelope(envelope, claim.key)
        statement = parse_statement(envelope.payload)
    except (FormatError, VerificationError) as error:
        raise VerificationError(f"entry {claim.index}: {error}") from error
    return LoggedEntry(
        index=claim.index,
        body=claim.body,
        pae_sha256=claim.pae_sha256,
        envelope=envelope,
        key=claim.key,
        statement=statement,
        told=stored.signatures,
    )


def read_claims(
    source: TileSource, start: int, checkpoint: Checkpoint, reader: TreeReader | None = None
) -> Iterator[Claim]:
    """Yield what the entries from `start` on say, as far as the log itself tells it.

    Raises: as `read_entries`, except for what is wrong with an envelope.
    """
    for bundle in read_bundles(source, start, checkpoint, reader):
        for index, body in enumerate(bundle.bodies, start=bundle.first):
            if index >= start:
                yield parse_claim(index, body)


def fetch_envelope(source: LogSource, claim: Claim) -> bytes:
    """Return the envelope that `source` has for `claim`, unchecked; errors name the entry."""
    try:
        return source.envelope(claim.pae_sha256)
    except MissingError as error:
        raise MissingError(f"entry {claim.index}: {error}") from error


def fetch_entry(source: LogSource, claim: Claim) -> LoggedEntry:
    """Return the entry of `claim` with the envelope of `source`; raises as `read_entries`."""
    return check_claim(claim, fetch_envelope(source, claim))


def read_entries(
    source: LogSource, start: int, checkpoint: Checkpoint, reader: TreeReader | None = None
) -> Iterator[LoggedEntry]:
    """Yield the entries of the tree from `start` on, each with its claim, all of it checked.

    `reader` is what `check_tree` returned for this checkpoint; without it the tree is checked here.

    Raises:
        MisuseError, FormatError: as `read_bundles`.
        VerificationError: a tile, bundle or entry is not what was signed; it names which.
        MissingError: a tile, bundle or envelope is answered to be absent.
        UnavailableError: it cannot be had.
    """
    for claim in read_claims(source, start, checkpoint, reader):
        yield fetch_entry(source, claim)
