"""A folder of 300 files with odd names: complete, equal, and nothing new the second time."""

from __future__ import annotations

import sys
from pathlib import Path

from huggingface_hub import HfApi, snapshot_download
from say import noise, same, say, write

REPO = sys.argv[1]
api = HfApi()
api.create_repo(REPO)
files = {}
for number in range(300):
    folder = ("plain", "with space", "naïve/ünder", "a#b/50%", "deep/er/and/deeper")[number % 5]
    suffix = "txt" if number % 3 else "bin"
    files[f"{folder}/file {number} #%.{suffix}"] = f"{number}\n".encode() + (
        b"" if number % 3 else noise(2_000, number)
    )
for name, data in files.items():
    write(Path("up") / name, data)
api.upload_folder(repo_id=REPO, folder_path="up")
head = api.model_info(REPO).sha
found = {item.path for item in api.list_repo_tree(REPO, recursive=True) if hasattr(item, "size")}
same(found, set(files))
local = Path(snapshot_download(REPO))
for name, data in files.items():
    same((name, (local / name).read_bytes()), (name, data))
api.upload_folder(repo_id=REPO, folder_path="up")
same(api.model_info(REPO).sha, head)
some = Path(snapshot_download(REPO, allow_patterns=["plain/*"], local_dir="some"))
same(len([path for path in some.rglob("*") if path.is_file() and ".cache" not in path.parts]), 60)
say("folder passed")
