"""What a figure depends on: the machine, the disk, and what the database syncs."""

from __future__ import annotations

import os
import platform
import statistics
import subprocess
import time
from datetime import UTC, datetime
from pathlib import Path

from bench.children import output

DURABILITY = ("fsync", "synchronous_commit", "full_page_writes", "wal_sync_method")


def machine(folder: Path) -> dict[str, str]:
    """Return processor, cores, memory, kernel, Python, date, and the disk under `folder`."""
    return {
        "date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "state": _commit(),
        "processor": _first("/proc/cpuinfo", "model name"),
        "cores": str(os.cpu_count()),
        "memory": f"{int(_first('/proc/meminfo', 'MemTotal').split()[0]) // 2**20} GiB",
        "load before": " ".join(f"{load:.1f}" for load in os.getloadavg()),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "file system": _file_system(folder),
        "fsync of 4 KiB": f"{_fsync_ms(folder):.2f} ms (median of 200)",
    }


def durability() -> dict[str, str]:
    """Return the settings of the database that a commit's durability rests on."""
    from django.db import connection

    found = {}
    with connection.cursor() as cursor:
        for name in DURABILITY:
            cursor.execute(f"SHOW {name}")
            found[name] = str(cursor.fetchone()[0])
        cursor.execute("SHOW server_version")
        found["server_version"] = str(cursor.fetchone()[0])
    return found


def processor_s(pid: int) -> float:
    """Return the processor seconds that a process has used so far; 0 when it has ended."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8")
    except (FileNotFoundError, ProcessLookupError):
        return 0.0
    fields = text.rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _commit() -> str:
    command = ["git", "describe", "--always", "--dirty"]
    try:
        return output(command, errors=subprocess.STDOUT).decode().strip()
    except (OSError, subprocess.CalledProcessError):
        return "no repository"


def _first(path: str, name: str) -> str:
    for line in Path(path).read_text(encoding="utf-8").splitlines():
        label, _, value = line.partition(":")
        if label.strip() == name:
            return value.strip()
    return "unknown"


def _file_system(folder: Path) -> str:
    mounts = [line.split() for line in Path("/proc/mounts").read_text("utf-8").splitlines()]
    under = [mount for mount in mounts if folder.resolve().is_relative_to(mount[1])]
    return max(under, key=lambda mount: len(mount[1]))[2]


def _fsync_ms(folder: Path, times: int = 200) -> float:
    path = folder / "fsync-probe"
    took = []
    with path.open("wb", buffering=0) as file:
        for _ in range(times):
            file.write(b"\0" * 4096)
            started = time.perf_counter()
            os.fsync(file.fileno())
            took.append(time.perf_counter() - started)
    path.unlink()
    return statistics.median(took) * 1000
