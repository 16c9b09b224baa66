"""The settings of drf-spectacular: how the document of the REST API is made."""

from __future__ import annotations

from typing import Any

SETTINGS: dict[str, Any] = {
    "TITLE": "Assay",
    "DESCRIPTION": (
        "A registry of models whose answers a stranger can check. Lists answer `items` and `next`,"
        " errors `error` with a stable `code`; what a token may is its scope."
    ),
    "VERSION": "1",
    "OAS_VERSION": "3.1.1",
    "SCHEMA_PATH_PREFIX": "/api/v1",
    "SERVE_PUBLIC": True,
    "SERVE_INCLUDE_SCHEMA": False,
    "SORT_OPERATIONS": False,
    "SORT_OPERATION_PARAMETERS": False,
    "ENUM_GENERATE_CHOICE_DESCRIPTION": False,
    "POSTPROCESSING_HOOKS": ["config.openapi.schema.complete"],
}
