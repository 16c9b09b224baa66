"""Say how the head of a model stands: commit, signed, release. Any version."""

from __future__ import annotations

import sys

from huggingface_hub import HfApi
from say import say

info = HfApi().model_info(sys.argv[1])
ours = vars(info)["assay"]
say(info.sha, ours["signed"], ours["release"])
