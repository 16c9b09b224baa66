"""A bar for work that takes long: on the error stream, and only if that is a terminal."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)


@contextmanager
def progress(what: str, total: int, *, quiet: bool) -> Iterator[Callable[[], None]]:
    """Show a bar over `total` things; yield what is called for each one that is done."""
    with _bar(what, total, quiet, MofNCompleteColumn()) as advance:
        yield lambda: advance(1)


@contextmanager
def byte_progress(what: str, total: int, *, quiet: bool) -> Iterator[Callable[[int], None]]:
    """Show a bar over `total` bytes; yield what is called with how many more there are."""
    with _bar(what, total, quiet, DownloadColumn(), TransferSpeedColumn()) as advance:
        yield advance


@contextmanager
def waiting(what: str, *, quiet: bool) -> Iterator[None]:
    """Show that `what` is waited for, on a terminal."""
    console = Console(stderr=True)
    if quiet or not console.is_terminal:
        yield
        return
    with console.status(what):
        yield


@contextmanager
def _bar(
    what: str, total: int, quiet: bool, *told: ProgressColumn
) -> Iterator[Callable[[int], None]]:
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), *told, TimeRemainingColumn())
    hidden = quiet or not console.is_terminal
    with Progress(*columns, console=console, transient=True, disable=hidden) as bar:
        task = bar.add_task(what, total=total)
        yield lambda count: bar.advance(task, count)
