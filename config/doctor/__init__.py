"""What is wrong with this installation, and how to mend it: `manage.py doctor`.

Each check looks and changes nothing that lasts. It answers with findings: a fault stops something
from working or makes it unsafe, a warning will do so later, and both say what to do. A check that
rests on another one that failed is skipped, and says on which.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from config.doctor import database, files, programs, runtime, site
from config.doctor.findings import Check, Finding, Level, fault, skipped

__all__ = ["CHECKS", "Finding", "Level", "examine", "names"]

CHECKS: tuple[Check, ...] = (
    Check("settings", site.check_settings),
    Check("site", site.check_site),
    Check("mail", site.check_mail),
    Check("static", site.check_static),
    Check("keys", files.check_keys),
    Check("disk", files.check_disk),
    Check("storage", files.check_storage),
    Check("runtime", runtime.check_runtime),
    Check("database", database.check_database),
    Check("migrations", database.check_migrations, needs="database"),
    Check("clock", database.check_clock, needs="database"),
    Check("broker", programs.check_broker),
    Check("worker", programs.check_worker, needs="broker"),
    Check("executor", programs.check_executor),
    Check("log", programs.check_log, needs="migrations"),
    Check("registered", files.check_registered, needs="migrations"),
    Check("witnesses", programs.check_witnesses, needs="migrations"),
)


def names() -> list[str]:
    """Return the names of all checks, in the order in which they are made."""
    return [check.name for check in CHECKS]


def examine(leave_out: Sequence[str] = ()) -> Iterator[Finding]:
    """Make every check that is not left out; yield what each finds as soon as it is known."""
    failed = set()
    for check in CHECKS:
        if check.name in leave_out:
            continue
        if check.needs in failed:
            failed.add(check.name)
            yield skipped(check)
            continue
        for finding in _whatever_happens(check):
            yield Finding(
                check=check.name,
                level=finding.level,
                words=finding.words,
                remedy=finding.remedy,
            )
            if finding.level == Level.FAULT:
                failed.add(check.name)


def _whatever_happens(check: Check) -> Iterator[Finding]:
    """Yield what `check` finds; that it broke on something nobody thought of is a fault as well."""
    try:
        yield from check.look()
    except Exception as error:  # noqa: BLE001 (the other checks are made all the same)
        words = f"could not be looked at: {type(error).__name__}: {error}"
        yield fault(words, "Mend what the words name; if they name nothing, report a bug.")
