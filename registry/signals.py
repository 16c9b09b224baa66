"""What other applications may want to know of the registry."""

from __future__ import annotations

from django.dispatch import Signal

# Sent with `revision_id` inside the transaction that commits a revision which waits for its
# inspection: act on it by `transaction.on_commit`, and let a sweeper find what was missed.
revision_committed = Signal()

# Sent with `event`, the audit row of a change, in the transaction of both. Who raises undoes it.
changed = Signal()
