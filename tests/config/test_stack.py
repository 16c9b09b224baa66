"""The supervisor's questions are answered with no, not with an error, while something is away."""

from __future__ import annotations

import pytest
from django.db import connection

from config.stack import sequencer_leads
from ledger import services as ledger
from ledger.leadership import begin_term


@pytest.mark.django_db(transaction=True)
def test_a_database_that_went_away_is_asked_again() -> None:
    ledger.ensure_log()
    begin_term("localhost")
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        pid = cursor.fetchone()[0]
    other = connection.copy()
    with other.cursor() as cursor:
        cursor.execute("SELECT pg_terminate_backend(%s, 5000)", [pid])
    other.close()
    assert not sequencer_leads()
    assert sequencer_leads()
