"""Wake-ups: the rows say what there is to do, and a lost message costs only time."""

from __future__ import annotations

import logging
from uuid import UUID

from celery import shared_task
from kombu.exceptions import OperationalError

from registry.services import (
    closing,
    collection,
    counters,
    downloads,
    flags,
    letters,
    sessions,
    uploads,
    xet,
)

log = logging.getLogger(__name__)


@shared_task
def complete_upload(upload_id: str) -> None:
    """Join the parts of a large upload and check the whole."""
    uploads.join(UUID(upload_id))


@shared_task
def sweep_uploads() -> None:
    """Remove what nobody waits for, and announce again the joins that were lost."""
    xet.sweep()
    downloads.sweep()
    for upload_id in uploads.sweep():
        complete_upload.delay(str(upload_id))


@shared_task
def collect_blobs() -> None:
    """Take away content that nothing names."""
    collection.collect()


@shared_task
def send_letters() -> None:
    """Send the letters that are due."""
    letters.send_due()


@shared_task
def sweep_accounts() -> None:
    """Close the accounts whose day has come, take away old sessions and reporters' addresses."""
    sessions.sweep()
    flags.forget()
    closing.sweep()


@shared_task
def add_up_downloads() -> int:
    """Count the downloads that are new; return how many."""
    return counters.add_up_downloads()


def announce(upload_id: UUID) -> None:
    """Wake a worker for an upload that waits to be joined; without a broker the sweeper will."""
    try:
        complete_upload.delay(str(upload_id))
    except OperationalError:
        log.warning("no broker answers: the sweeper will find upload %s", upload_id)
