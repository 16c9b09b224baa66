"""A whole Assay as `make run` starts it, in a folder and on a port of its own."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

from config.stack import free_port

ROOT = Path(__file__).parent.parent.parent
READY = "Assay is ready at"


@dataclass(slots=True)
class Stack:
    """One `manage.py up`: started, watched, stopped."""

    data: Path
    port: int = field(default_factory=lambda: free_port(None))
    process: subprocess.Popen[str] | None = None
    lines: list[str] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def environment(self) -> dict[str, str]:
        """The environment of a person's shell, without what this test run put there."""
        ours = ("ASSAY_TEST_DATA", "DATABASE_POOL", "DATABASE_URL", "DJANGO_SETTINGS_MODULE")
        kept = {name: value for name, value in os.environ.items() if name not in ours}
        return kept | {"DATA": str(self.data), "PORT": str(self.port), "PYTHONWARNINGS": "default"}

    def start(self, patience_s: float = 180.0) -> float:
        """Start, and return the seconds until the line that says so."""
        begun = time.monotonic()
        self.lines.clear()
        ready = threading.Event()
        self.process = subprocess.Popen(
            [sys.executable, "manage.py", "up"],
            cwd=ROOT,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        threading.Thread(target=self._read, args=(self.process, ready), daemon=True).start()
        while not ready.wait(0.05):
            late = time.monotonic() - begun > patience_s
            if late or self.process.poll() is not None:
                told = "\n".join(self.lines) + self.tails()
                self.stop()  # nobody else would: the test that asked for it never begins
                raise AssertionError("not ready:\n" + told)
        return time.monotonic() - begun

    def _read(self, process: subprocess.Popen[str], ready: threading.Event) -> None:
        assert process.stdout is not None
        with process.stdout as output:
            for line in output:
                self.lines.append(line.rstrip())
                if READY in line:
                    ready.set()

    def tails(self) -> str:
        """Return the ends of the children's logs, for a failing test's message."""
        logs = sorted((self.data / "logs").glob("*.log"))
        ends = [f"\n--- {log.name}\n" + log.read_text(errors="replace")[-2000:] for log in logs]
        return "".join(ends)

    def stop(self, patience_s: float = 60.0) -> int:
        """Press Ctrl-C and return the exit code."""
        if self.process is None:
            return 0
        self.process.send_signal(signal.SIGINT)
        code = self.process.wait(patience_s)
        self.process = None
        return code

    def manage(self, *arguments: str) -> str:
        """Run a command of `manage.py` on this data; return what it printed."""
        done = subprocess.run(
            [sys.executable, "manage.py", *arguments],
            cwd=ROOT,
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout.strip()

    def pids(self) -> dict[int, str]:
        """Return every process whose environment names this data folder: pid to command line."""
        mine = f"DATA={self.data}".encode()
        found = {}
        for folder in Path("/proc").iterdir():
            if not re.fullmatch(r"[0-9]+", folder.name) or int(folder.name) == os.getpid():
                continue
            try:
                environment = (folder / "environ").read_bytes().split(b"\0")
                command = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode()
            except OSError:
                continue
            if mine in environment or str(self.data) in command:
                found[int(folder.name)] = command.strip()
        return found

    def child(self, words: str) -> int:
        """Return the pid of the direct child of `up` whose command line contains `words`."""
        assert self.process is not None
        path = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        for pid in path.read_text().split():
            command = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
            if words in command:
                return int(pid)
        raise AssertionError(f"no child with {words!r}")
