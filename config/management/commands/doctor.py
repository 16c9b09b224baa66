from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.core.management.base import BaseCommand, CommandParser
from django.http import JsonResponse
from rich.console import Console
from rich.markup import escape

from config import doctor
from config.doctor import Finding, Level

_MARKS = {
    Level.GOOD: "[green]✓[/green]",
    Level.WARNING: "[yellow]![/yellow]",
    Level.FAULT: "[red]✗[/red]",
    Level.SKIPPED: "[dim]·[/dim]",
}


class Command(BaseCommand):
    """Look at everything that this installation needs.

    Exit code 0 when nothing is wrong (warnings may be there), 1 when something is, or with
    `--strict` when there are warnings; 2 for a wrong call.
    """

    help = "Name what is wrong with this installation, and how to mend it."
    requires_system_checks = ()  # they are one of the checks

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--json", action="store_true", help="for programs")
        parser.add_argument("--strict", action="store_true", help="warnings fail too")
        parser.add_argument(
            *("--skip", "-s"),
            action="append",
            default=[],
            choices=doctor.names(),
            help="leave a check out, for what does not run on this machine; may be repeated",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        found = []
        console = Console(highlight=False, soft_wrap=True)
        with _once():
            for finding in doctor.examine(options["skip"]):
                found.append(finding)
                if not options["json"]:
                    _tell(console, finding)
        levels = {finding.level for finding in found}
        bad = Level.FAULT in levels or (options["strict"] and Level.WARNING in levels)
        if options["json"]:
            self.stdout.write(_as_json(found, well=not bad))
        else:
            console.print(_sum(found))
        if bad:
            sys.exit(1)


@contextmanager
def _once() -> Iterator[None]:
    """Keep the pool of connections quiet: the check says once what it would say twice a second."""
    pool = logging.getLogger("psycopg.pool")
    before = pool.level
    pool.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        pool.setLevel(before)


def _tell(console: Console, finding: Finding) -> None:
    console.print(f"{_MARKS[finding.level]} {finding.check}: {escape(finding.words)}")
    if finding.remedy:
        console.print(f"    → {escape(finding.remedy)}")


def _sum(found: list[Finding]) -> str:
    faults = sum(finding.level == Level.FAULT for finding in found)
    warnings = sum(finding.level == Level.WARNING for finding in found)
    return f"{faults} wrong, {warnings} to look at"


def _as_json(found: list[Finding], *, well: bool) -> str:
    lines = [
        {
            "check": finding.check,
            "level": str(finding.level),
            "words": finding.words,
            "remedy": finding.remedy,
        }
        for finding in found
    ]
    return JsonResponse({"well": well, "findings": lines}).content.decode()
