"""The Celery application: `celery -A config.celery worker` and `beat`."""

from __future__ import annotations

import logging.config
from typing import Any

from celery import Celery, Task
from celery.signals import setup_logging
from django.conf import settings

from config.env import prepare
from config.logs import about


class NamedTask(Task[Any, Any]):
    """A task whose log lines say which one it is."""

    abstract = True

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run it."""
        with about("task", f"{self.name} {self.request.id}"):
            return super().__call__(*args, **kwargs)


prepare()
app = Celery("assay", task_cls=NamedTask)
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()


@setup_logging.connect
def _as_the_site(**_: object) -> None:
    """Let worker and beat log as every other process does."""
    logging.config.dictConfig(settings.LOGGING)
