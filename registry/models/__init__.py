"""One file per noun; everything is importable from here."""

from __future__ import annotations

from registry.models.alias import Alias, AliasMove
from registry.models.appeal import Appeal
from registry.models.audit import AuditEvent
from registry.models.blob import Blob, Holding, Upload, UploadPart
from registry.models.closing import Closing
from registry.models.downloads import DownloadCount, DownloadSeen
from registry.models.gate import AccessRequest
from registry.models.key import Key, KeyBackup
from registry.models.letter import Letter
from registry.models.membership import Membership
from registry.models.model import Model
from registry.models.moderation import ModerationAction, Objection, Report
from registry.models.owner import Owner, ReservedName
from registry.models.quota import Charge, Quota
from registry.models.refs import Ref
from registry.models.release import Claim, Release
from registry.models.revision import Revision, RevisionFile
from registry.models.search import (
    CountedLog,
    DaySalt,
    DownloadMark,
    ModelTotal,
    ReleaseDay,
    SearchDocument,
)
from registry.models.session import Session
from registry.models.token import ApiToken, TokenLimit
from registry.models.transfer import FormerName, Transfer
from registry.models.trusted import ReleaseRun, TrustedPublisher, TrustedRun
from registry.models.webhook import Watch
from registry.models.xet import XetSpace, Xorb, XorbRange

__all__ = [
    "AccessRequest",
    "Alias",
    "AliasMove",
    "ApiToken",
    "Appeal",
    "AuditEvent",
    "Blob",
    "Charge",
    "Claim",
    "Closing",
    "CountedLog",
    "DaySalt",
    "DownloadCount",
    "DownloadMark",
    "DownloadSeen",
    "FormerName",
    "Holding",
    "Key",
    "KeyBackup",
    "Letter",
    "Membership",
    "Model",
    "ModelTotal",
    "ModerationAction",
    "Objection",
    "Owner",
    "Quota",
    "Ref",
    "Release",
    "ReleaseDay",
    "ReleaseRun",
    "Report",
    "ReservedName",
    "Revision",
    "RevisionFile",
    "SearchDocument",
    "Session",
    "TokenLimit",
    "Transfer",
    "TrustedPublisher",
    "TrustedRun",
    "Upload",
    "UploadPart",
    "Watch",
    "XetSpace",
    "Xorb",
    "XorbRange",
]
