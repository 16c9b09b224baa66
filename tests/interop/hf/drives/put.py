"""Upload one file of noise: `repository path size seed`; then say the commit."""

from __future__ import annotations

import sys
from pathlib import Path

from huggingface_hub import HfApi
from say import noise, say, write

REPO, PATH, SIZE, SEED = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
api = HfApi()
api.create_repo(REPO, exist_ok=True)
write(Path("put.bin"), noise(SIZE, SEED))
say("begins")
sys.stdout.flush()
made = api.upload_file(path_or_fileobj="put.bin", path_in_repo=PATH, repo_id=REPO)
say("committed", made.oid)
