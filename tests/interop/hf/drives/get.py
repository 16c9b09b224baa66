"""Download one file, check it against its seed: `repository path size seed [revision]`."""

from __future__ import annotations

import sys
from pathlib import Path

from huggingface_hub import hf_hub_download
from say import noise, same, say, sha

REPO, PATH, SIZE, SEED = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
revision = sys.argv[5] if len(sys.argv) > 5 else None
found = Path(hf_hub_download(REPO, PATH, revision=revision)).read_bytes()
same((len(found), sha(found)), (SIZE, sha(noise(SIZE, SEED))))
say("equal")
