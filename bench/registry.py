"""The registry's benchmark: how fast files go in and out, and what that costs the web tier.

    python -m bench.registry                       4 GB, about five minutes
    python -m bench.registry --quick               256 MB: does it run?
    python -m bench.registry --size 1000 --json figures.json --markdown figures.md

It starts a PostgreSQL and the real web tier, each a process of its own, and throws everything away
at the end. A file of random bytes goes in whole and in parts, and comes out again, over loopback;
the client has hashed it before, as every client must. Beside it stand `sha256sum` of the same file,
which is what the server cannot do without, and MLflow's proxied artifact upload (nothing of which
is hashed) where its environment was built (`python -m bench.peers`).
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from bench.site import Site

if TYPE_CHECKING:
    from bench.registry_report import Figures

QUICK_MB, WHOLE_MB = 256, 4_000


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, and print."""
    options = _options(arguments)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # also then, leave nothing behind
    console = Console(width=None if sys.stdout.isatty() else 120)
    with Site.open(options.folder) as site:
        # Django is set up by now; the measurements need its models.
        from bench.machine import machine
        from bench.registry_report import Figures

        figures = Figures(
            machine=machine(site.data),
            size_mb=options.size,
            command=" ".join(["python -m bench.registry", *(arguments or sys.argv[1:])]),
        )
        measure(site, figures, options.size, console)
    figures.hand_out(console, options)


def measure(site: Site, figures: Figures, size_mb: int, console: Console) -> None:
    """Fill `figures` with what a file of `size_mb` megabytes shows."""
    from bench import registry_peers
    from bench.registry_client import Caller, make_files

    os.environ["CELERY_BROKER_URL"] = "memory://"  # the client joins what it sent, as a worker
    os.environ["QUOTA_BYTES"] = os.environ["UPLOAD_MAX_BYTES"] = str(10 * size_mb * 10**6)
    with console.status("making files"):
        files = make_files(site.data, size_mb * 10**6)
    with console.status("sha256sum"):
        figures.rows += registry_peers.hashing(files.whole.path)
    with site.web() as port:
        caller = Caller.open(port, site, files)
        for name, work in caller.works():
            with console.status(name):
                figures.rows.append(work())
    with console.status("MLflow"):
        figures.rows += registry_peers.mlflow(site, files.whole)


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.registry", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--size", type=int, help="megabytes of the file")
    parser.add_argument("--quick", action="store_true", help=f"{QUICK_MB} MB, to see that it runs")
    parser.add_argument("--folder", type=Path, help="where to put the data, e.g. on another disk")
    parser.add_argument("--json", type=Path, help="write the figures there, too")
    parser.add_argument("--markdown", type=Path, help="write the table there, too")
    options = parser.parse_args(arguments)
    if options.size is None:
        options.size = QUICK_MB if options.quick else WHOLE_MB
    return options


if __name__ == "__main__":
    main()
