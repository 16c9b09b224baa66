"""What is missing, hidden or refused, as the client's own exceptions."""

from __future__ import annotations

import sys

from huggingface_hub import HfApi, hf_hub_download
from say import refused, same, say

PUBLIC, PRIVATE, GATED = sys.argv[1:4]
api = HfApi()


def kind(*arguments: str, **named: str) -> str:
    return str(refused(404, hf_hub_download, *arguments, **named)).split()[0]


same(kind("alice/there-is-none", "a.txt"), "RepositoryNotFoundError")
same(kind(PRIVATE, "a.txt"), "RepositoryNotFoundError")
same(kind(PUBLIC, "a.txt", revision="none"), "RevisionNotFoundError")
same(kind(PUBLIC, "none.txt") in ("EntryNotFoundError", "RemoteEntryNotFoundError"), True)
same(str(refused(403, hf_hub_download, GATED, "a.txt")).split()[0], "GatedRepoError")
told = refused(401, HfApi(token="hf_wrong").whoami)
same("401" in told or "nvalid" in told, True)
refused(403, api.upload_file, path_or_fileobj=b"x", path_in_repo="a.txt", repo_id=GATED)
refused(403, api.upload_file, path_or_fileobj=b"x", path_in_repo="a.txt", repo_id=PUBLIC)
say("errors passed")
