"""A manifest names a folder's content, file names included."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest
from hypothesis import given, strategies as st

from assay.digests import sha256_hex
from assay.errors import FormatError, VerificationError
from assay.limits import LIMITS
from assay.manifest import Manifest, Resource, check_path, is_ignored, parse_manifest, parse_oms
from assay.statements import parse_statement
from tests.assay.vectors import VECTORS, values

OMS = values()["oms"]
DIGEST = "0" * 64


def vectors_manifest() -> Manifest:
    return Manifest.from_pairs(reversed(OMS["files"].items()))


def test_the_vectors_folder_has_the_vectors_digests() -> None:
    manifest = vectors_manifest()
    assert manifest.subject_digest == OMS["subject_digest"]
    assert parse_oms(parse_statement(manifest.oms_statement("resnet-tiny"))) == manifest
    bundle = json.loads((VECTORS / "oms.bundle.json").read_text())
    signed = base64.b64decode(bundle["dsseEnvelope"]["payload"])
    assert manifest.oms_statement("resnet-tiny") == signed


def test_one_file_is_a_folder_of_one_file() -> None:
    single = Manifest.from_pairs([("model.onnx", OMS["files"]["model.onnx"])])
    assert single.subject_digest == OMS["single_file_subject_digest"]


def test_renaming_moves_our_digest_and_not_that_of_model_signing() -> None:
    names = OMS["same_subject_digest_other_names"]
    renamed = Manifest.from_pairs(zip(names, OMS["files"].values(), strict=True))
    assert renamed.subject_digest == vectors_manifest().subject_digest
    assert renamed.digest != vectors_manifest().digest


def test_the_manifest_is_the_blob_of_its_digest() -> None:
    manifest = vectors_manifest()
    blob = json.dumps(manifest.to_list(), sort_keys=True, separators=(",", ":")).encode()
    assert sha256_hex(blob) == manifest.digest
    assert parse_manifest(blob) == manifest
    with pytest.raises(FormatError, match="RFC 8785"):
        parse_manifest(blob + b"\n")
    with pytest.raises(FormatError, match="not an array"):
        parse_manifest(b"{}")


def test_gits_files_and_the_signature_are_left_out() -> None:
    extra = [(".gitattributes", DIGEST), ("model.sig", DIGEST), (".git/config", DIGEST)]
    assert Manifest.from_pairs([*OMS["files"].items(), *extra]) == vectors_manifest()
    assert not is_ignored("weights/.gitignore")
    assert not is_ignored(".gitlab.yml")


@pytest.mark.parametrize(
    "name",
    [
        "",
        "/a",
        "a/",
        "a//b",
        ".",
        "a/..",
        "a\\b",
        "a\nb",
        "a\x7fb",
        "a\x85b",
        "\ud800",
        "x" * (LIMITS.path_segment + 1),
        "/".join(["é" * 100] * 7),
        "/".join("a" * (LIMITS.path_depth + 1)),
    ],
)
def test_mallorys_path_has_a_second_meaning(name: str) -> None:
    with pytest.raises(FormatError):
        check_path(name)


@pytest.mark.parametrize("name", ["a", "a/b", "ä b/ü", "...", ".hidden", "a" * 255])
def test_alices_paths_are_fine(name: str) -> None:
    check_path(name)


@pytest.mark.parametrize(
    "resources",
    [
        (),
        (Resource(name="a", sha256=DIGEST),) * 2,
        (Resource(name="b", sha256=DIGEST), Resource(name="a", sha256=DIGEST)),
        (Resource(name="a", sha256="A" * 64),),
        (Resource(name="a", sha256=DIGEST), Resource(name="a/b", sha256=DIGEST)),
        (Resource(name="a", sha256=DIGEST),) * (LIMITS.manifest_files + 1),
    ],
)
def test_a_manifest_that_is_none(resources: tuple[Resource, ...]) -> None:
    with pytest.raises(FormatError):
        Manifest(resources=resources)


def signed(**predicate: object) -> str:
    value = json.loads(vectors_manifest().oms_statement("resnet-tiny"))
    value["predicate"] |= predicate
    return json.dumps(value)


@pytest.mark.parametrize(
    "serialization",
    [
        {"method": "files", "hash_type": "sha256", "allow_symlinks": "no"},
        {"method": "zip", "hash_type": "sha256", "allow_symlinks": False},
        {"method": "files", "hash_type": "md5", "allow_symlinks": False},
        {"method": ["files"], "hash_type": "sha256", "allow_symlinks": False},
    ],
)
def test_an_unknown_serialization_is_malformed(serialization: dict[str, object]) -> None:
    with pytest.raises(FormatError):
        parse_oms(parse_statement(signed(serialization=serialization).encode()))


def test_too_many_files_are_refused_before_they_are_read() -> None:
    statement = parse_statement(signed(resources=[0] * (LIMITS.manifest_files + 1)).encode())
    with pytest.raises(FormatError, match="more than"):
        parse_oms(statement)


def test_a_resource_is_an_object() -> None:
    with pytest.raises(FormatError, match=r"resources\[0\]"):
        parse_oms(parse_statement(signed(resources=["a"]).encode()))


def test_mallory_may_not_alter_add_or_remove_a_file() -> None:
    manifest = vectors_manifest()
    manifest.check_folder(manifest)
    pairs = dict(OMS["files"])
    for change in (
        {**pairs, "config.json": DIGEST},
        {**pairs, "run.py": DIGEST},
        {name: digest for name, digest in pairs.items() if name != "empty.txt"},
    ):
        with pytest.raises(VerificationError):
            manifest.check_folder(Manifest.from_pairs(change.items()))


@pytest.mark.property
@given(names=st.sets(st.text("abÄ-.", min_size=1, max_size=5), min_size=1, max_size=8))
def test_any_folder_is_read_back(names: set[str]) -> None:
    pairs = [(f"{name}.bin", sha256_hex(name.encode())) for name in names]
    manifest = Manifest.from_pairs(pairs)
    assert parse_oms(parse_statement(manifest.oms_statement("m"))) == manifest
    assert [item.name for item in manifest.resources] == sorted(name for name, _ in pairs)


def test_model_signing_hashes_the_folder_to_our_statement() -> None:
    hashing = pytest.importorskip("model_signing.hashing")
    theirs = hashing.Config().hash(VECTORS / "resnet-tiny")
    pairs = [
        (descriptor.identifier, descriptor.digest.digest_hex)
        for descriptor in theirs.resource_descriptors()
    ]
    assert Manifest.from_pairs(pairs) == vectors_manifest()


def test_the_vectors_folder_is_where_the_tests_look() -> None:
    assert (Path(VECTORS) / "resnet-tiny" / "weights" / "part-0.bin").is_file()
