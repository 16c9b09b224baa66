"""One call more than there may be: what the client shows. Any version."""

from __future__ import annotations

import sys

from huggingface_hub import HfApi
from say import refused, say

api = HfApi()
api.model_info(sys.argv[1])
say(refused(429, api.model_info, sys.argv[1]))
