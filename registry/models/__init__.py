"""One file per noun; everything is importable from here."""

from __future__ import annotations

from registry.models.audit import AuditEvent
from registry.models.blob import Blob, Holding, Upload, UploadPart
from registry.models.downloads import DownloadCount, DownloadSeen
from registry.models.key import Key, KeyBackup
from registry.models.model import Model
from registry.models.owner import Owner, ReservedName
from registry.models.refs import Ref
from registry.models.release import Alias, AliasMove, Claim, Release
from registry.models.revision import Revision, RevisionFile
from registry.models.token import ApiToken
from registry.models.xet import XetSpace, Xorb, XorbRange

__all__ = [
    "Alias",
    "AliasMove",
    "ApiToken",
    "AuditEvent",
    "Blob",
    "Claim",
    "DownloadCount",
    "DownloadSeen",
    "Holding",
    "Key",
    "KeyBackup",
    "Model",
    "Owner",
    "Ref",
    "Release",
    "ReservedName",
    "Revision",
    "RevisionFile",
    "Upload",
    "UploadPart",
    "XetSpace",
    "Xorb",
    "XorbRange",
]
