"""What the newest client offers: commits of many kinds, expansions, file system, cards."""

from __future__ import annotations

import json
import sys

from huggingface_hub import (
    CommitOperationAdd,
    CommitOperationCopy,
    CommitOperationDelete,
    EvalResultEntry,
    HfApi,
    HfFileSystem,
    ModelCard,
    eval_result_entries_to_yaml,
    metadata_update,
)
from say import noise, refused, same, say

OWNER, NAME = sys.argv[1:3]
REPO = f"{OWNER}/{NAME}"
api = HfApi()
api.create_repo(REPO)
DATA = noise(700_000, 5)

# 8: one commit of all kinds, its parent, its repetition
first = api.create_commit(
    REPO,
    [
        CommitOperationAdd("w.bin", DATA),
        CommitOperationAdd("notes/a.txt", b"a"),
        CommitOperationAdd("notes/b.txt", b"b"),
        CommitOperationAdd("old.txt", b"old"),
    ],
    commit_message="add",
)
changes = [
    CommitOperationAdd("new.txt", b"new"),
    CommitOperationCopy("w.bin", "copy.bin"),
    CommitOperationCopy("old.txt", "copy.txt"),
    CommitOperationDelete("old.txt"),
    CommitOperationDelete("notes/", is_folder=True),
]
second = api.create_commit(REPO, changes, commit_message="change", parent_commit=first.oid)
same(sorted(api.list_repo_files(REPO)), ["copy.bin", "copy.txt", "new.txt", "w.bin"])
refused(
    412,
    api.create_commit,
    REPO,
    [CommitOperationAdd("x.txt", b"x")],
    commit_message="stale",
    parent_commit=first.oid,
)
again = api.create_commit(
    REPO, [CommitOperationAdd("new.txt", b"new")], commit_message="again", parent_commit=second.oid
)
same(again.oid, second.oid)
same([item.commit_id for item in api.list_repo_commits(REPO)][:2], [second.oid, first.oid])

# 11: the scan
scan = api.model_info(REPO, securityStatus=True).security_repo_status
same(scan["status"], "suspicious")
item = api.get_paths_info(REPO, ["w.bin"], expand=True)[0]
same((item.security.status, item.last_commit.oid), ("suspicious", first.oid))

# 15: cards
ModelCard("---\nlicense: mit\nlanguage: en\n---\n# Card\n").push_to_hub(REPO)
same(ModelCard.load(REPO).data.license, "mit")
head = api.model_info(REPO).sha
told = refused(400, ModelCard("---\nlicense: nonsense\n---\n# Bad\n").push_to_hub, REPO)
same("licen" in told.lower() and told.startswith("ValueError"), True)
same(api.model_info(REPO).sha, head)
metadata_update(REPO, {"tags": ["updated"], "license": "apache-2.0"}, overwrite=True)
card = ModelCard.load(REPO)
same((card.data.license, card.data.tags, "# Card" in card.text), ("apache-2.0", ["updated"], True))

# results, as the client itself writes and reads them
result = EvalResultEntry(dataset_id="alice/digits", task_id="accuracy", value=0.97)
text = "".join(f"- {json.dumps(one)}\n" for one in eval_result_entries_to_yaml([result]))
api.upload_file(
    path_or_fileobj=text.encode(), path_in_repo=".eval_results/digits.yaml", repo_id=REPO
)
same(api.model_info(REPO, expand=["evalResults"]).eval_results, [result])
api.delete_folder(".eval_results", repo_id=REPO)

# 17: the file system
files = HfFileSystem()
names = sorted(path.rpartition("/")[2] for path in files.ls(REPO, detail=False))
same(names, ["README.md", "copy.bin", "copy.txt", "new.txt", "w.bin"])
same(files.read_text(f"{REPO}/new.txt"), "new")
with files.open(f"{REPO}/w.bin", "rb", block_size=10_000) as stream:
    stream.seek(345_678)
    same(stream.read(100), DATA[345_678:345_778])
same((files.exists(f"{REPO}/none"), files.exists(f"{REPO}/w.bin")), (False, True))

say("newest passed")
