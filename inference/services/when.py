"""When a schedule fires: a cron expression or an interval, always in UTC. No rows, no clock."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from cronsim import CronSim, CronSimError

from inference.errors import BadScheduleError
from inference.models.schedules import LEAST_INTERVAL_S

MAX_INTERVAL_S = 366 * 86_400
_FIELDS = 5
_LENGTH = 100
_ANY = datetime(2000, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class When:
    """When a schedule fires, in UTC: by `cron` (five fields), or every `interval_s` seconds."""

    cron: str = ""
    interval_s: int | None = None

    def check(self) -> When:
        """Return this in its one spelling.

        Raises:
            BadScheduleError: neither, both, or one that never fires or too often.
        """
        if bool(self.cron) == (self.interval_s is not None):
            raise BadScheduleError("A schedule has either 'cron' or 'interval_s'.", field="cron")
        if self.interval_s is not None:
            if not LEAST_INTERVAL_S <= self.interval_s <= MAX_INTERVAL_S:
                limits = f"{LEAST_INTERVAL_S} to {MAX_INTERVAL_S}"
                raise BadScheduleError(
                    f"The field 'interval_s' is {limits} seconds.", field="interval_s"
                )
            return self
        fields = self.cron.split()
        # A sixth field would be seconds.
        if len(fields) != _FIELDS or len(self.cron) > _LENGTH or not self.cron.isascii():
            raise BadScheduleError(
                "The field 'cron' has five fields: minute, hour, day of month, month, day of week.",
                field="cron",
            )
        when = When(cron=" ".join(fields))
        try:
            when.after(_ANY)
        except (CronSimError, StopIteration) as error:
            words = str(error) or "it never fires"
            raise BadScheduleError(
                f"This cron expression does not work: {words}.", field="cron"
            ) from None
        return when

    def after(self, instant: datetime) -> datetime:
        """Return the first time after `instant`, which is on the grid of an interval."""
        if self.interval_s is not None:
            return instant + timedelta(seconds=self.interval_s)
        return next(CronSim(self.cron, instant.astimezone(UTC)))

    def newest(self, first: datetime, now: datetime) -> datetime:
        """Return the last time from `first`, which is one, up to `now`."""
        if self.interval_s is not None:
            missed = int((now - first).total_seconds()) // self.interval_s
            return first + timedelta(seconds=missed * self.interval_s)
        second = now.astimezone(UTC).replace(microsecond=0) + timedelta(seconds=1)
        return max(first, next(CronSim(self.cron, second, reverse=True)))
