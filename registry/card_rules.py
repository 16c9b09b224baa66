"""What the metadata of a model card may say: the Hub's keys, and what is wrong with a value."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

_LICENSE_IDS = (
    "apache-2.0 mit openrail bigscience-openrail-m creativeml-openrail-m "
    "bigscience-bloom-rail-1.0 bigcode-openrail-m afl-3.0 artistic-2.0 bsl-1.0 bsd "
    "bsd-2-clause bsd-3-clause bsd-3-clause-clear c-uda cc cc0-1.0 cc-by-2.0 cc-by-2.5 "
    "cc-by-3.0 cc-by-4.0 cc-by-sa-3.0 cc-by-sa-4.0 cc-by-nc-2.0 cc-by-nc-3.0 cc-by-nc-4.0 "
    "cc-by-nd-4.0 cc-by-nc-nd-3.0 cc-by-nc-nd-4.0 cc-by-nc-sa-2.0 cc-by-nc-sa-3.0 "
    "cc-by-nc-sa-4.0 cdla-sharing-1.0 cdla-permissive-1.0 cdla-permissive-2.0 wtfpl ecl-2.0 "
    "epl-1.0 epl-2.0 etalab-2.0 eupl-1.1 eupl-1.2 agpl-3.0 gfdl gpl gpl-2.0 gpl-3.0 lgpl "
    "lgpl-2.1 lgpl-3.0 isc h-research intel-research lppl-1.3c ms-pl apple-ascl apple-amlr "
    "mpl-2.0 odc-by odbl openmdw-1.0 openrail++ osl-3.0 postgresql ofl-1.1 ncsa unlicense "
    "zlib pddl lgpl-lr deepfloyd-if-license fair-noncommercial-research-license llama2 "
    "llama3 llama3.1 llama3.2 llama3.3 llama4 grok2-community gemma unknown other"
)
LICENSES = frozenset(_LICENSE_IDS.split())
_TASKS = (
    "text-classification token-classification table-question-answering question-answering "
    "zero-shot-classification translation summarization feature-extraction text-generation "
    "text2text-generation fill-mask sentence-similarity text-to-speech text-to-audio "
    "automatic-speech-recognition audio-to-audio audio-classification audio-text-to-text "
    "voice-activity-detection depth-estimation image-classification object-detection "
    "image-segmentation text-to-image image-to-text image-to-image image-to-video "
    "unconditional-image-generation video-classification reinforcement-learning robotics "
    "tabular-classification tabular-regression tabular-to-text table-to-text multiple-choice "
    "text-ranking text-retrieval time-series-forecasting text-to-video image-text-to-text "
    "image-text-to-image image-text-to-video visual-question-answering "
    "document-question-answering zero-shot-image-classification graph-ml mask-generation "
    "zero-shot-object-detection text-to-3d image-to-3d image-feature-extraction "
    "video-text-to-text keypoint-detection visual-document-retrieval any-to-any "
    "video-to-video other"
)
PIPELINE_TAGS = frozenset(_TASKS.split())
_LANGUAGE = re.compile(r"[a-z]{2,3}(?:[-_][A-Za-z0-9]{2,8})*")
_OTHER_LANGUAGES = frozenset({"code", "multilingual"})
_LISTS = ("language", "datasets", "base_model", "metrics", "tags")
_TEXTS = ("library_name", "pipeline_tag", "base_model_relation", "new_version", "thumbnail")


def errors(metadata: dict[str, Any]) -> Iterator[str]:
    """Yield what is wrong with `metadata`, in words; nothing when all is well."""
    for key in _LISTS:
        if key in metadata and not _is_words(metadata[key]):
            yield f"'{key}' is a text or a list of texts."
    for key in _TEXTS:
        if key in metadata and not isinstance(metadata[key], str):
            yield f"'{key}' is a text."
    yield from _license_errors(metadata)
    yield from _language_errors(metadata.get("language"))
    tag = metadata.get("pipeline_tag")
    if isinstance(tag, str) and tag not in PIPELINE_TAGS:
        yield f"'{tag[:80]}' is no pipeline_tag that the Hub knows."
    if "model-index" in metadata:
        yield from _index_errors(metadata["model-index"])


def warnings(metadata: dict[str, Any]) -> Iterator[str]:
    """Yield what a reader will miss in `metadata`."""
    if not metadata:
        yield "The card has no metadata: add a block between two lines of '---'."
    elif "license" not in metadata:
        yield "The card names no license."


def _is_words(value: Any) -> bool:
    items = value if isinstance(value, list) else [value]
    return all(isinstance(item, str) for item in items)


def _license_errors(metadata: dict[str, Any]) -> Iterator[str]:
    if "license" not in metadata:
        return
    value = metadata["license"]
    if not isinstance(value, str) or value not in LICENSES:
        yield (
            f"'{str(value)[:80]}' is no license id of the Hub: use 'other' with license_name and "
            "license_link."
        )
    elif value == "other":
        for key in ("license_name", "license_link"):
            if not isinstance(metadata.get(key), str) or not metadata[key]:
                yield f"'license: other' needs '{key}'."


def _language_errors(value: Any) -> Iterator[str]:
    for item in value if isinstance(value, list) else [value]:
        if not isinstance(item, str) or item in _OTHER_LANGUAGES:
            continue
        if _LANGUAGE.fullmatch(item) is None:
            yield f"'{item[:80]}' is no language code (ISO 639), such as 'en'."


def _index_errors(value: Any) -> Iterator[str]:
    if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
        yield "'model-index' is a list of objects."
        return
    for item in value:
        results = item.get("results")
        if not isinstance(item.get("name"), str) or not isinstance(results, list):
            yield "Each item of 'model-index' has a name and a list of results."
            continue
        for result in results:
            yield from _result_errors(result)


def _result_errors(result: Any) -> Iterator[str]:
    if not isinstance(result, dict):
        yield "A result in 'model-index' is an object."
        return
    for key, required in (("task", ("type",)), ("dataset", ("type", "name"))):
        part = result.get(key)
        if not isinstance(part, dict) or any(name not in part for name in required):
            yield f"A result's '{key}' in 'model-index' has {' and '.join(required)}."
    metrics = result.get("metrics")
    if not isinstance(metrics, list) or not all(
        isinstance(item, dict) and "type" in item and "value" in item for item in metrics
    ):
        yield "A result's 'metrics' in 'model-index' is a list; each has type and value."
