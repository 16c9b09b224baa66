"""The command lines that pages show, ready to paste. Names are quoted for the shell."""

from __future__ import annotations

import math
import shlex
from collections.abc import Iterable, Sequence
from typing import Any
from urllib.parse import quote

from assay.canonical import canonical_json
from assay.statements import timestamp
from registry.models import AliasMove, Model, Release, Revision, RevisionFile

_INLINE = 128
_ROOT = "trusted_root.json"


def verify_lines(site: str) -> dict[str, str]:
    """Return the lines of the page about verifying, with ID in the place of an execution."""
    return {
        "pin": f"assay trust init {site}",
        "get": (
            f"curl -fo receipt '{site}/executions/ID/receipt?wait=10'\n"
            f"curl -fO {site}/executions/ID/output.tensors"
        ),
        "assay": "assay verify receipt --blob output.tensors",
        "cosign": (
            f"curl -fO {site}/.well-known/assay/{_ROOT}\n"
            "cosign verify-blob-attestation --bundle receipt --key executor.pub \\\n"
            f"  --trusted-root {_ROOT} --type urn:assay:execution:v1 output.tensors"
        ),
        "replay": f"assay replay receipt --url {site}",
    }


def curl_lines(site: str, revision: Revision, files: Iterable[RevisionFile]) -> str:
    """Return one curl line per file, for an empty folder."""
    base = f"{site}/models/{revision.model.full_name}/files/{revision.pk}"
    return "\n".join(
        f"curl -f --create-dirs -o {shlex.quote(file.path)} {base}/{quote(file.path)}"
        for file in files
    )


def sum_lines(files: Iterable[RevisionFile]) -> str:
    """Return what `sha256sum -c` reads, inside the command that runs it."""
    sums = "\n".join(f"{file.blob_id}  {file.path}" for file in files)
    return f"sha256sum -c <<'SUMS'\n{sums}\nSUMS"


def release_lines(site: str, release: Release) -> dict[str, str]:
    """Return how stock tools check a release's signatures."""
    model, folder = release.model, shlex.quote(release.model.name)
    address = f"{site}/models/{model.full_name}/releases/{quote(release.version)}"
    graph = shlex.quote(release.revision.graph_path or "README.md")
    return {
        "model_signing": (
            "python -m pip install model-signing pyOpenSSL\n"
            f"curl -f --create-dirs -o {folder}/model.sig {address}/model.sig\n"
            f"curl -fo publisher.pem {site}/keys/{release.key_id}/key.pem\n"
            f"model_signing verify key {folder} --signature {folder}/model.sig "
            "--public_key publisher.pem"
        ),
        "cosign": (
            f"curl -fO {site}/.well-known/assay/{_ROOT}\n"
            f"curl -fO {address}/release.sigstore.json\n"
            "cosign verify-blob-attestation --bundle release.sigstore.json --key publisher.pem \\\n"
            f"  --trusted-root {_ROOT} --type urn:assay:release:v1 {folder}/{graph}"
        ),
    }


def alias_lines(site: str, move: AliasMove) -> dict[str, str]:
    """Return how `move` is checked: offline by assay, and what the alias runs now."""
    model, alias = move.alias.model, move.alias.name
    folder = shlex.quote(model.name)
    page = f"{site}/models/{model.full_name}/aliases/{alias}"
    return {
        "assay": (
            f"curl -fO {page}/{move.number}/alias.sigstore.json\n"
            f"assay verify alias.sigstore.json --type urn:assay:alias:v1 --blob {folder}"
        ),
        "meaning": (
            f"curl -fG {site}/api/v1/models/{model.full_name}/aliases/{alias} \\\n"
            f"  -d at={timestamp(move.created_at)}"
        ),
    }


def moderation_lines(site: str, number: int) -> dict[str, str]:
    """Return how an action of moderators is checked, offline but for the download."""
    return {
        "pin": f"assay trust init {site}",
        "assay": (
            f"curl -fO {site}/moderation/{number}/moderation.sigstore.json\n"
            "assay verify moderation.sigstore.json --type urn:assay:moderation:v1"
        ),
    }


def snippets(site: str, model: Model, release: Release, facts: dict[str, Any]) -> dict[str, str]:
    """Return how programs call `release`: curl, tritonclient, and the check of the receipt."""
    inputs = [_example(port) for port in facts.get("inputs", [])]
    name = f"{model.owner.name}--{model.name}"
    address = f"{site}/v2/models/{name}/versions/{quote(release.version)}/infer"
    return {
        "curl": _curl(address, inputs),
        "python": _python(site, name, release.version, inputs),
        "assay": _assay(site, release),
    }


def _example(port: dict[str, Any]) -> dict[str, Any]:
    """Return an input of zeros; free dimensions are 1."""
    shape = [size if isinstance(size, int) and size >= 0 else 1 for size in port["shape"] or []]
    return {"name": port["name"], "datatype": port["datatype"], "shape": shape}


def _zero(datatype: str) -> Any:
    return {"BOOL": False, "BYTES": ""}.get(datatype, 0)


def _curl(address: str, inputs: Sequence[dict[str, Any]]) -> str:
    if any(math.prod(item["shape"]) > _INLINE for item in inputs):
        parts = ", ".join(
            f"{item!r} | {{'data': [{_zero(item['datatype'])!r}] * {math.prod(item['shape'])}}}"
            for item in inputs
        )
        program = f"import json; print(json.dumps({{'inputs': [{parts}]}}))"
        return f"python3 -c {shlex.quote(program)} |\n  curl -f {address} -d @-"
    filled = [
        {**item, "data": [_zero(item["datatype"])] * math.prod(item["shape"])} for item in inputs
    ]
    body = _seen(canonical_json({"inputs": filled}).decode())
    return f"curl -f {address} \\\n  -d {shlex.quote(body)}"


def _seen(text: str) -> str:
    """Return JSON without what a terminal obeys or nobody sees: a publisher chose its names."""
    return "".join(one if one.isprintable() else _escaped(one) for one in text)


def _escaped(letter: str) -> str:
    units = letter.encode("utf-16-be")
    return "".join(f"\\u{units[at]:02x}{units[at + 1]:02x}" for at in range(0, len(units), 2))


def _python(site: str, name: str, version: str, inputs: Sequence[dict[str, Any]]) -> str:
    host = site.partition("://")[2]
    secure = ", ssl=True" if site.startswith("https://") else ""
    lines = [
        "import numpy as np",
        "import tritonclient.http as http",
        "from tritonclient.utils import triton_to_np_dtype",
        "",
        f'client = http.InferenceServerClient("{host}"{secure})',
        "inputs = []",
        f"for name, datatype, shape in {[tuple(item.values()) for item in inputs]!r}:",
        "    tensor = http.InferInput(name, shape, datatype)",
        "    tensor.set_data_from_numpy(np.zeros(shape, triton_to_np_dtype(datatype)))",
        "    inputs.append(tensor)",
        f'result = client.infer("{name}", inputs, model_version="{version}")',
        "answer = result.get_response()",
        'for output in answer["outputs"]:',
        '    print(output["name"], result.as_numpy(output["name"]))',
        'print(answer["parameters"]["receipt_url"])',
    ]
    return "\n".join(lines)


def _assay(site: str, release: Release) -> str:
    return (
        f"curl -fo receipt '{site}/executions/ID/receipt?wait=10'\n"
        f"curl -fo output.tensors {site}/executions/ID/output.tensors\n"
        "assay verify receipt --blob output.tensors &&\n"
        "  jq -r .dsseEnvelope.payload receipt | base64 -d |\n"
        f"  jq -e '.predicate.manifest == \"{release.revision.manifest}\"'"
    )
