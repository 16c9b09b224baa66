"""The Celery application: `celery -A config.celery worker` and `beat`."""

from __future__ import annotations

from celery import Celery

from config.env import prepare

prepare()
app = Celery("assay")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
