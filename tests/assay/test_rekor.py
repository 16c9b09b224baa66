"""What stock clients send to a Rekor v2 log is read in its one spelling, and nothing else is."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, utils
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from assay.bundle import tlog_entry_dict
from assay.canonical import canonical_json, parse_json
from assay.dsse import P256_ORDER, rekor_body, sign
from assay.errors import FormatError, VerificationError
from assay.limits import LIMITS
from assay.rekor import KEY_DETAILS, CreateEntry, parse_create_entry, render_status
from tests.assay import claims
from tests.assay.vectors import vector

Json = dict[str, Any]
REQUEST = "hashedRekordRequestV002"
VERIFIER = f"{REQUEST}.signature.verifier"
RAW = f"{VERIFIER}.publicKey.rawBytes"
SNAKE = {
    REQUEST: "hashed_rekord_request_v002",
    "publicKey": "public_key",
    "rawBytes": "raw_bytes",
    "keyDetails": "key_details",
}


def asked() -> Json:
    """Return the request of the vectors, which stock cosign sent."""
    found: Json = json.loads(vector("rekor.request.json"))
    return found


def parsed(value: Any) -> CreateEntry:
    return parse_create_entry(json.dumps(value).encode())


def snaked(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    return {SNAKE.get(name, name): snaked(inner) for name, inner in value.items()}


def bent(change: Callable[[Json, Json, Json], None]) -> Json:
    """Return the request after `change(request, signature, verifier)`."""
    value = asked()
    request = value[REQUEST]
    change(request, request["signature"], request["signature"]["verifier"])
    return value


def spelled(data: bytes) -> str:
    return base64.b64encode(data).decode()


def test_what_cosign_sent_is_read_and_gives_the_leaf_that_was_logged() -> None:
    entry = parse_create_entry(vector("rekor.request.json"))
    body = rekor_body(entry.digest, entry.signature, entry.key.spki)
    answer = parse_json(vector("rekor.response.json"))
    assert base64.b64decode(answer["canonicalizedBody"]) == body
    assert entry.key == claims.public_key()


def test_the_names_of_the_proto_file_are_as_good() -> None:
    value = snaked(asked())
    assert "raw_bytes" in json.dumps(value)
    assert parsed(value) == parsed(asked())


def test_a_field_in_both_spellings_has_two_meanings() -> None:
    value = bent(lambda request, signature, verifier: verifier.update(key_details=KEY_DETAILS))
    with pytest.raises(FormatError, match=r"'keyDetails' stands twice") as caught:
        parsed(value)
    assert caught.value.path == VERIFIER
    with pytest.raises(FormatError, match="twice"):
        parsed(asked() | snaked(asked()))


def remove(name: str) -> Callable[[Json, Json, Json], None]:
    def change(*objects: Json) -> None:
        for value in objects:
            value.pop(name, None)

    return change


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("digest", REQUEST),
        ("signature", REQUEST),
        ("content", f"{REQUEST}.signature"),
        ("verifier", f"{REQUEST}.signature"),
        ("publicKey", VERIFIER),
        ("keyDetails", VERIFIER),
    ],
)
def test_a_missing_field_is_named(name: str, path: str) -> None:
    with pytest.raises(FormatError, match=f"'{name}' is missing") as caught:
        parsed(bent(remove(name)))
    assert caught.value.path == path


def test_an_empty_request_says_what_it_lacks() -> None:
    with pytest.raises(FormatError, match=f"'{REQUEST}' is missing"):
        parsed({})


UNKNOWN = [
    ("", lambda value: value.update(extra=1)),
    (REQUEST, lambda value: value[REQUEST].update(extra=1)),
    (f"{REQUEST}.signature", lambda value: value[REQUEST]["signature"].update(extra=1)),
    (VERIFIER, lambda value: value[REQUEST]["signature"]["verifier"].update(extra=1)),
]


@pytest.mark.parametrize(("path", "change"), UNKNOWN, ids=[row[0] or "top" for row in UNKNOWN])
def test_an_unknown_field_is_refused(path: str, change: Callable[[Json], None]) -> None:
    value = asked()
    change(value)
    with pytest.raises(FormatError, match="'extra' is unknown") as caught:
        parsed(value)
    assert caught.value.path == path


def test_a_certificate_is_refused_in_words() -> None:
    def certify(request: Json, signature: Json, verifier: Json) -> None:
        verifier["x509Certificate"] = {"rawBytes": ""}

    def certify_only(request: Json, signature: Json, verifier: Json) -> None:
        del verifier["publicKey"]
        verifier["x509_certificate"] = {"rawBytes": ""}

    for change in (certify, certify_only):
        with pytest.raises(VerificationError, match=r"certificate: this log takes .* public keys"):
            parsed(bent(change))


def test_a_dsse_entry_is_refused_in_words() -> None:
    for name in ("dsseRequestV002", "dsse_request_v002"):
        with pytest.raises(VerificationError, match="log a hashedrekord"):
            parsed({name: {"envelope": {}, "verifiers": []}})


@pytest.mark.parametrize("details", ["PKIX_ECDSA_P384_SHA_384", "PKIX_ED25519_PH", ""])
def test_another_algorithm_is_refused(details: str) -> None:
    with pytest.raises(VerificationError, match="another algorithm"):
        parsed(bent(lambda request, signature, verifier: verifier.update(keyDetails=details)))


@pytest.mark.parametrize("details", [5, None])
def test_an_enum_by_number_is_a_second_spelling(details: object) -> None:
    with pytest.raises(FormatError, match="not a string"):
        parsed(bent(lambda request, signature, verifier: verifier.update(keyDetails=details)))


SPELLINGS: dict[str, Callable[[str], object]] = {
    "without padding": lambda text: text.rstrip("="),
    "base64url": lambda text: text.replace("+", "-").replace("/", "_") + "_",
    "with a line break": lambda text: text[:8] + "\n" + text[8:],
    "as bytes": lambda text: [1, 2],
    "null": lambda text: None,
}


@pytest.mark.parametrize("spelling", SPELLINGS)
@pytest.mark.parametrize("where", ["digest", "content", "rawBytes"])
def test_protojsons_other_spellings_of_bytes_are_refused(where: str, spelling: str) -> None:
    def change(request: Json, signature: Json, verifier: Json) -> None:
        for value in (request, signature, verifier["publicKey"]):
            if where in value:
                value[where] = SPELLINGS[spelling](value[where].rstrip("=") + "=")

    with pytest.raises(FormatError, match="base64") as caught:
        parsed(bent(change))
    assert caught.value.path.endswith(where)


@pytest.mark.parametrize("size", [0, 31, 33, 48])
def test_a_digest_of_another_length_is_refused(size: int) -> None:
    with pytest.raises(FormatError, match=f"is {size} bytes, not 32") as caught:
        parsed(bent(lambda request, *others: request.update(digest=spelled(bytes(size)))))
    assert caught.value.path == f"{REQUEST}.digest"


def test_a_signature_in_webcryptos_form_is_refused() -> None:
    with pytest.raises(FormatError, match="DER") as caught:
        parsed(bent(lambda request, sig, verifier: sig.update(content=spelled(b"\x01" * 64))))
    assert caught.value.path == f"{REQUEST}.signature.content"


def test_a_signature_over_another_digest_is_refused() -> None:
    with pytest.raises(VerificationError, match="not one of key"):
        parsed(bent(lambda request, *others: request.update(digest=spelled(bytes(32)))))


def test_mallory_may_not_log_under_the_key_of_somebody_else() -> None:
    other = ec.derive_private_key(7, ec.SECP256R1()).public_key()
    spki = other.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    with pytest.raises(VerificationError, match="not one of key"):
        parsed(with_key(spki))


def with_key(data: bytes) -> Json:
    return bent(
        lambda request, signature, verifier: verifier.update(publicKey={"rawBytes": spelled(data)})
    )


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "no public key"),
        (b"\x30\x00", "no public key"),
        (claims.public_key().spki + b"\x00", "no public key"),
        (claims.public_key().pem.encode(), "is not the DER"),
        (b"-----BEGIN PRIVATE KEY-----", "private key"),
    ],
    ids=["empty", "no key", "longer", "PEM", "private"],
)
def test_a_key_in_another_form_is_refused(data: bytes, words: str) -> None:
    with pytest.raises(FormatError, match=words) as caught:
        parsed(with_key(data))
    assert caught.value.path == RAW


def test_a_compressed_point_is_a_second_spelling() -> None:
    head = bytes.fromhex("3039301306072a8648ce3d020106082a8648ce3d030107032200")
    point = claims.signer().public_key().public_bytes(Encoding.X962, PublicFormat.CompressedPoint)
    with pytest.raises(FormatError, match="is not the DER"):
        parsed(with_key(head + point))


def test_a_key_of_another_curve_is_refused() -> None:
    other = ec.derive_private_key(7, ec.SECP384R1()).public_key()
    with pytest.raises(FormatError, match="P-256"):
        parsed(with_key(other.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)))


def test_the_malleable_twin_of_a_signature_is_well_formed() -> None:
    """Why claims are unique by key and digest, and not by leaf."""
    entry = parsed(asked())
    r, s = utils.decode_dss_signature(entry.signature)
    twin = utils.encode_dss_signature(r, P256_ORDER - s)
    found = parsed(bent(lambda request, sig, verifier: sig.update(content=spelled(twin))))
    assert (found.digest, found.key) == (entry.digest, entry.key)
    assert found.signature != entry.signature


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[]",
        b"{",
        b"\xef\xbb\xbf{}",
        b'{"hashedRekordRequestV002":null}',
        vector("rekor.request.json") + b"x",
        vector("rekor.request.json").replace(b'{"digest', b'{"digest":"","digest', 1),
    ],
)
def test_what_is_no_request_is_malformed(body: bytes) -> None:
    with pytest.raises(FormatError):
        parse_create_entry(body)


def test_a_request_has_a_longest_length() -> None:
    body = vector("rekor.request.json")
    assert parse_create_entry(body + b" " * (LIMITS.rekor_request - len(body))).digest
    with pytest.raises(FormatError, match="longer than 65536 bytes"):
        parse_create_entry(body + b" " * (LIMITS.rekor_request - len(body) + 1))


def test_the_answer_is_the_entry_and_nothing_else() -> None:
    """cosign takes an unknown field in a 201 for a failure."""
    bundle = claims.logged(b"{}")
    answer = tlog_entry_dict(bundle.entry)
    envelope = sign(b"{}", claims.signer())
    assert sorted(answer) == [
        *("canonicalizedBody", "inclusionProof", "kindVersion", "logId", "logIndex"),
    ]
    assert base64.b64decode(answer["canonicalizedBody"]) == rekor_body(
        envelope.pae_sha256, envelope.signature, claims.public_key().spki
    )
    vectors = parse_json(vector("rekor.response.json"))
    assert sorted(vectors) == sorted(answer)


def test_a_refusal_is_a_status_with_words() -> None:
    said = render_status(3, "the digest is — too short")
    assert said == canonical_json(
        {"code": 3, "message": "the digest is — too short", "details": []}
    )
