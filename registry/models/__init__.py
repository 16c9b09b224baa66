"""One file per noun; everything is importable from here."""

from __future__ import annotations

from registry.models.audit import AuditEvent
from registry.models.blob import Blob, Holding, Upload, UploadPart
from registry.models.key import Key, KeyBackup
from registry.models.model import Model
from registry.models.owner import Owner, ReservedName
from registry.models.release import Alias, AliasMove, Claim, Release
from registry.models.revision import Revision, RevisionFile
from registry.models.token import ApiToken

__all__ = [
    "Alias",
    "AliasMove",
    "ApiToken",
    "AuditEvent",
    "Blob",
    "Claim",
    "Holding",
    "Key",
    "KeyBackup",
    "Model",
    "Owner",
    "Release",
    "ReservedName",
    "Revision",
    "RevisionFile",
    "Upload",
    "UploadPart",
]
