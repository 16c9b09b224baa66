"""Lists, page after page: 90 models of one owner, three of them with cards. Any version."""

from __future__ import annotations

import sys

from huggingface_hub import HfApi
from say import same, say

OWNER = sys.argv[1]
api = HfApi()
every = [f"{OWNER}/m{number:02}" for number in range(90)]


def found(**asked: object) -> list[str]:
    return [item.id for item in api.list_models(author=OWNER, **asked)]


for order in (
    {},
    *({"sort": name} for name in ("downloads", "likes", "last_modified", "created_at")),
):
    listed = found(**order)
    same((order, len(listed), sorted(listed)), (order, 90, every))
same(found(sort="created_at"), every[::-1])
same(len(found(limit=7)), 7)
same(found(search="m07"), [every[7]])
same(found(search="nothing like it"), [])
same(sorted(found(filter="drives")), every[:3])
same(found(filter=["drives", "license:mit"]), [every[0]])
same(found(filter="image-classification"), [every[1]])
same(found(pipeline_tag="image-classification"), [every[1]])
same(found(filter="fr"), [every[2]])
first = next(iter(api.list_models(author=OWNER, search="m00", full=True, cardData=True)))
same((first.card_data and first.card_data.license, "drives" in first.tags), ("mit", True))
say("lists passed")
