"""Files of several kinds, up and down again: noise of a size, 8 MB of floats, 4 MB of text."""

from __future__ import annotations

import sys
from pathlib import Path

from huggingface_hub import HfApi, hf_hub_download
from say import floats, noise, same, say, sha, words, write

REPO, SIZE, SEED = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
api = HfApi()
api.create_repo(REPO)
files = {
    "noise.bin": noise(SIZE, SEED),
    "floats.bin": floats(2 * 2**20),
    "words.data": words(4 * 2**20),
    "small.bin": noise(500_000, 2),
}
for name, data in files.items():
    write(Path("up") / name, data)
api.upload_folder(repo_id=REPO, folder_path="up")
for name, data in files.items():
    same((name, sha(Path(hf_hub_download(REPO, name)).read_bytes())), (name, sha(data)))
say("sizes passed")
