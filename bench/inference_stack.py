"""The whole of Assay for a measurement: what `make run` starts, with models published for real.

    with Site.open() as site, running(site) as stack:
        stack.publish("digits", digits())

PostgreSQL, the log and its witness are `bench.site`'s. Here Redis, the sequencer, the executor, the
web tier and the worker are added, each by the command and with the settings of `make run`.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from bench.children import ROOT
from bench.machine import processor_s
from bench.site import MANAGE, Site, child, wait

OWNER = "bench"
CARD = "---\nlicense: apache-2.0\nlibrary_name: onnx\n---\n\n# A model to measure\n"
_POOL = {"DATABASE_POOL": "20"}  # as it is by default


@dataclass(frozen=True, slots=True, kw_only=True)
class Stack:
    """A running Assay: the port of its web tier, a token, and the process of each program."""

    site: Site
    port: int
    token: str
    pids: dict[str, int]

    def publish(self, name: str, graph: bytes) -> str:
        """Publish `graph` as a public model of the bench's owner; return `owner/name`."""
        from examples.client import Client, load_or_make_key, publish

        folder = self.site.data / "models" / name
        folder.mkdir(parents=True)
        (folder / "README.md").write_text(CARD, encoding="utf-8")
        (folder / "model.onnx").write_bytes(graph)
        client = Client(url=f"http://127.0.0.1:{self.port}", token=self.token)
        key = load_or_make_key(self.site.data / "keys" / "publisher.pem")
        publish(client, key, OWNER, name, folder)
        return f"{OWNER}/{name}"

    def processor_s(self) -> dict[str, float]:
        """Return the processor seconds of each program with its children, PostgreSQL's too.

        What a child that has ended used is in its parent's count only where that waited for it.
        """
        return {name: sum(map(processor_s, family(pid))) for name, pid in self._roots().items()}

    def resident_mib(self) -> dict[str, float]:
        """Return the resident memory of each program with its children, in MiB (see below)."""
        found = {name: sum(map(resident_mib, family(pid))) for name, pid in self._roots().items()}
        models = [pid for pid in family(self.pids["executor"]) if pid != self.pids["executor"]]
        found["executor"] = resident_mib(self.pids["executor"])
        return found | {"model processes": sum(map(resident_mib, models))}

    def model_processes_mib(self) -> float:
        """Return the resident memory of all model processes together, in MiB."""
        return sum(map(resident_mib, family(self.pids["executor"])[1:]))

    def _roots(self) -> dict[str, int]:
        text = (self.site.data / "postgres" / "postmaster.pid").read_text(encoding="ascii")
        return {**self.pids, "postgresql": int(text.split()[0])}


def family(pid: int) -> list[int]:
    """Return a process and all below it."""
    found = [pid]
    for parent in found:
        with contextlib.suppress(OSError):
            for task in Path(f"/proc/{parent}/task").iterdir():
                text = (task / "children").read_text(encoding="ascii")
                found += map(int, text.split())
    return found


def resident_mib(pid: int) -> float:
    """Return the resident memory of a process in MiB, 0 when it has ended.

    A page that n processes share counts a nth part in each (the kernel's Pss): PostgreSQL's many
    processes share most of theirs.
    """
    with contextlib.suppress(OSError):
        text = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="utf-8")
        found = re.search(r"Pss:\s+(\d+) kB", text)
        return int(found[1]) / 1024 if found else 0.0
    return 0.0


@contextlib.contextmanager
def running(site: Site) -> Iterator[Stack]:
    """Run everything; what it needs is ready when the block begins."""
    from django.conf import settings
    from django.core.management import call_command

    from config import stack
    from inference import runtimes

    runtimes.add(settings.PORTABLE_RUNTIME)
    programs = {program.name: program for program in (*stack.databases(), *stack.servers())}
    pids = {}
    with contextlib.ExitStack() as children:
        for name in ("redis", "sequencer", "executor", "worker"):
            program = programs[name]
            process = children.enter_context(child(program.command, site.errors, _POOL))
            wait(program.ready, name, process, site.log)
            pids[name] = process.pid
        with (site.data / "register.log").open("w", encoding="utf-8") as said:
            call_command("register_keys", stdout=said)
            call_command("register_executor", stdout=said)
            call_command("collectstatic", verbosity=0, interactive=False, stdout=said)
        port = stack.free_port(None)
        command = [*MANAGE, "serve", "--bind", f"127.0.0.1:{port}"]
        web = children.enter_context(child(command, site.errors, _POOL))
        wait(stack.answers(port, "/readyz"), "the web tier", web, site.log)
        yield Stack(site=site, port=port, token=_token(), pids=pids | {"web": web.pid})


def _token() -> str:
    """Make the account that everything runs under, and a token of it."""
    from django.contrib.auth import get_user_model

    from registry.services import tokens
    from registry.services.owners import create_person

    user = get_user_model().objects.create_user(OWNER, f"{OWNER}@localhost")
    create_person(user)
    _, token = tokens.create(user, name="bench", scope="admin")
    return token


def digits() -> bytes:
    """Return the example model: FP32 [N, 1, 8, 8] to probabilities and a digit."""
    return Path(ROOT / "examples" / "digits" / "model.onnx").read_bytes()


def versions() -> dict[str, str]:
    """Return the runtimes that are compared."""
    from importlib.metadata import version

    from django.conf import settings

    return {
        "portable runtime": settings.PORTABLE_RUNTIME.name,
        "native runtime": f"onnxruntime {version('onnxruntime')}, CPU, one thread",
        "loaded by": f"load average {os.getloadavg()[0]:.1f} at the start",
    }
