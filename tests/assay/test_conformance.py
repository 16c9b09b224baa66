"""Our formulas against other people's code, for any input: PAE, and the body of an entry."""

from __future__ import annotations

import json
from typing import Any

import pytest
import rfc8785
from hypothesis import given, strategies as st

from assay import dsse
from assay.canonical import encode_base64
from tests.assay import claims


@pytest.mark.property
@given(payload=st.binary(max_size=300), kind=st.text(max_size=40))
def test_securesystemslib_computes_the_same_pae(payload: bytes, kind: str) -> None:
    theirs = pytest.importorskip("securesystemslib.dsse")
    envelope = theirs.Envelope(payload=payload, payload_type=kind, signatures={})
    try:
        expected = envelope.pae()
    except UnicodeEncodeError:
        return  # a lone surrogate is no text
    assert dsse.pae(payload, kind) == expected


@pytest.mark.property
@given(digest=st.binary(min_size=32, max_size=32), signature=st.binary(min_size=8, max_size=72))
def test_the_template_of_a_body_is_what_rfc_8785_prints(digest: bytes, signature: bytes) -> None:
    spki = claims.public_key().spki
    verifier: dict[str, Any] = {
        "keyDetails": "PKIX_ECDSA_P256_SHA_256",
        "publicKey": {"rawBytes": encode_base64(spki)},
    }
    entry: dict[str, Any] = {
        "data": {"algorithm": "SHA2_256", "digest": encode_base64(digest)},
        "signature": {"content": encode_base64(signature), "verifier": verifier},
    }
    value: dict[str, Any] = {
        "apiVersion": "0.0.2",
        "kind": "hashedrekord",
        "spec": {"hashedRekordV002": entry},
    }
    body = dsse.rekor_body(digest, signature, spki)
    assert body == rfc8785.dumps(value)
    assert json.loads(body) == value
