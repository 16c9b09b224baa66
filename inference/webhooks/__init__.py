"""Sending webhooks: where they may go, how they are signed, one HTTP request. No rows, no queue."""

from __future__ import annotations
