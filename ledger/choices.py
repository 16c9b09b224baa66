"""The closed lists of the ledger."""

from __future__ import annotations

from django.db import models


class Kind(models.TextChoices):
    """What an entry's statement says, from its predicate type."""

    MODEL_SIGNATURE = "oms", "model signature"
    RELEASE = "release", "release"
    CARD = "card", "card"
    ALIAS = "alias", "alias"
    EXECUTION = "execution", "execution"
    REPLAY = "replay", "replay"
    KEY = "key", "key"
    MODERATION = "moderation", "moderation"


class LeaderState(models.TextChoices):
    """What the sequencer does: it leads, it waits for a better time, or it stopped for good."""

    LEADING = "leading", "leading"
    HELD = "held", "held"
    STOPPED = "stopped", "stopped"
