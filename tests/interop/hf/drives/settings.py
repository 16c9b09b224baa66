"""What an owner sets: private, gated, whose it is. Any version."""

from __future__ import annotations

import sys

from huggingface_hub import HfApi
from say import refused, same, say

OWNER, NAME, CLUB = sys.argv[1:4]
REPO, MOVED = f"{OWNER}/{NAME}", f"{CLUB}/{NAME}"
api = HfApi()
same(CLUB in [item["name"] for item in api.whoami()["orgs"]], True)
api.create_repo(REPO, private=True)
same(api.model_info(REPO).private, True)
api.update_repo_settings(REPO, private=False)
api.update_repo_settings(REPO, gated="manual")
info = api.model_info(REPO)
same((info.private, info.gated), (False, "manual"))
same(list(api.list_pending_access_requests(REPO)), [])
refused(404, api.accept_access_request, REPO, "mallory")
api.update_repo_settings(REPO, gated=False)
same(api.model_info(REPO).gated, False)
api.upload_file(path_or_fileobj=b"before", path_in_repo="a.txt", repo_id=REPO)
refused(400, api.move_repo, REPO, f"{CLUB}/another")
api.move_repo(REPO, MOVED)
same(api.model_info(REPO).id, MOVED)
same(api.model_info(MOVED).id, MOVED)
api.upload_file(path_or_fileobj=b"after", path_in_repo="a.txt", repo_id=MOVED)
refused(409, api.create_repo, REPO)
told = refused(403, api.create_discussion, MOVED, title="Hello")
same("Discussions are disabled" in told, True)
refused(
    400, api.upload_file, path_or_fileobj=b"x", path_in_repo="b.txt", repo_id=MOVED, create_pr=True
)
api.delete_repo(MOVED)
say("settings passed")
