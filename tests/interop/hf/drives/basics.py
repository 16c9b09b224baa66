"""The library, step by step: repositories, uploads, refs, lists, downloads. Any version."""

from __future__ import annotations

import io
import os
import sys
import urllib.request
from pathlib import Path
from typing import get_args

import huggingface_hub
from huggingface_hub import HfApi, hf_api, hf_hub_download, snapshot_download
from huggingface_hub.utils import RepositoryNotFoundError
from say import refused, same, say, sha

OWNER, NAME = sys.argv[1:3]
REPO = f"{OWNER}/{NAME}"
WORK = Path("work")
WORK.mkdir(exist_ok=True)
api = HfApi()


def equal(path: str, data: bytes, **where: str) -> None:
    got = Path(hf_hub_download(REPO, path, **where)).read_bytes()
    same((path, sha(got)), (path, sha(data)))


# 1, 2: account, repository
assert api.whoami()["name"] == OWNER
url = api.create_repo(REPO)
assert (url.repo_id, url.endpoint) == (REPO, os.environ["HF_ENDPOINT"]), url
assert api.create_repo(REPO, exist_ok=True).repo_id == REPO
assert "exists" in refused(409, api.create_repo, REPO)
refused(403, api.create_repo, "stranger/x")
refused(400, api.create_repo, f"{OWNER}/infer")

# 3: small files
made = api.upload_file(path_or_fileobj=b"hello", path_in_repo="five.txt", repo_id=REPO)
assert made.oid == api.model_info(REPO).sha
assert made.commit_url == f"{os.environ['HF_ENDPOINT']}/models/{REPO}/commit/{made.oid}"
with urllib.request.urlopen(made.commit_url) as page:
    same((page.status, "five.txt" in page.read().decode()), (200, True))
api.upload_file(path_or_fileobj=b"", path_in_repo="empty.bin", repo_id=REPO)
card = b"---\nlicense: mit\ntags: [drive]\n---\n# A drive\n"
api.upload_file(path_or_fileobj=card, path_in_repo="README.md", repo_id=REPO)
equal("five.txt", b"hello")
equal("empty.bin", b"")
equal("README.md", card)

# 4: by path, by bytes, by file object
blobs = [os.urandom(3 * 2**20 + n) for n in range(3)]
(WORK / "three.bin").write_bytes(blobs[0])
api.upload_file(path_or_fileobj=str(WORK / "three.bin"), path_in_repo="a/path.bin", repo_id=REPO)
api.upload_file(path_or_fileobj=blobs[1], path_in_repo="a/bytes.bin", repo_id=REPO)
api.upload_file(path_or_fileobj=io.BytesIO(blobs[2]), path_in_repo="a/object.bin", repo_id=REPO)
for name, data in zip(("path", "bytes", "object"), blobs, strict=True):
    equal(f"a/{name}.bin", data)

# 9: refs
api.create_tag(REPO, tag="v1")
refused(409, api.create_tag, REPO, tag="v1")
api.create_tag(REPO, tag="v1", exist_ok=True)
api.create_branch(REPO, branch="a/b", revision="v1")
refs = api.list_repo_refs(REPO)
assert sorted(item.name for item in refs.branches) == ["a/b", "main"]
assert [item.name for item in refs.tags] == ["v1"]
assert len(api.list_repo_commits(REPO)) == 7
api.upload_file(path_or_fileobj=b"there", path_in_repo="five.txt", repo_id=REPO, revision="a/b")
equal("five.txt", b"there", revision="a/b")
equal("five.txt", b"hello", revision="v1")
equal("five.txt", b"hello", revision=api.model_info(REPO, revision="main").sha)

# 11, 12: what is there
for name in get_args(hf_api.ExpandModelProperty_T):
    same(api.model_info(REPO, expand=[name]).id, REPO)
info = api.model_info(REPO, files_metadata=True)
same(info.card_data and info.card_data.license, "mit")
assert {item.rfilename for item in info.siblings or ()} == {
    *("five.txt", "empty.bin", "README.md", "a/path.bin", "a/bytes.bin", "a/object.bin")
}
names = [item.path for item in api.list_repo_tree(REPO)]
assert names == ["README.md", "a", "empty.bin", "five.txt"], names
tree = {item.path: item for item in api.list_repo_tree(REPO, recursive=True, expand=True)}
assert tree["a/path.bin"].lfs.sha256 == sha(blobs[0])
assert tree["five.txt"].last_commit is not None
paths = api.get_paths_info(REPO, ["a/path.bin", "none", "a"])
assert [item.path for item in paths] == ["a/path.bin", "a"], paths
folder = Path(snapshot_download(REPO, local_dir=str(WORK / "local")))
assert (folder / "a" / "bytes.bin").read_bytes() == blobs[1]
only = Path(snapshot_download(REPO, allow_patterns=["*.md"], local_dir=str(WORK / "only")))
assert {item.name for item in only.iterdir()} - {".cache"} == {"README.md"}

# 22: the end
api.delete_file("five.txt", repo_id=REPO)
assert not api.file_exists(REPO, "five.txt")
api.delete_branch(REPO, branch="a/b")
api.delete_tag(REPO, tag="v1")
api.delete_repo(REPO)
try:
    api.model_info(REPO)
except RepositoryNotFoundError:
    pass
else:
    raise AssertionError("it is still there")
refused(409, api.create_repo, REPO)
say("basics", huggingface_hub.__version__, "passed")
