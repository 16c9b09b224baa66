"""The launcher of a jailed process: it gives up what it can, then executes a program.

Run as `python -I -S jail.py --parent PID [--cpu S] [--memory BYTES] [--read PATH]… -- PROGRAM ARG…`
with the standard library alone, before any thread exists; or with `--report` in place of a program,
to print the layers that hold on this machine as JSON. Layers, in this order:

1. limits on open files (128), written files (size 0), core dumps (none), CPU and memory if asked;
2. an empty network namespace, inside a user namespace of its own;
3. `no_new_privs`, so that nothing it executes can gain a right back;
4. Landlock: the file system is readable below the `--read` paths, writable nowhere;
5. death with the supervisor (PR_SET_PDEATHSIG), whatever kills that one.

A layer that the kernel refuses is left out; the supervisor reports which ones hold (`--report`).
The end of standard input is for the program to notice.
"""

from __future__ import annotations

import argparse
import ctypes
import json
import os
import resource
import signal
import struct
import sys
from pathlib import Path

OPEN_FILES = 128  # Node takes 21, and 5 for each of the 16 threads that the memory has room for
LAYERS = ("limits", "network", "no_new_privs", "landlock", "parent_death")

_CLONE_NEWUSER, _CLONE_NEWNET = 0x10000000, 0x40000000
_PR_SET_PDEATHSIG, _PR_SET_NO_NEW_PRIVS = 1, 38
_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446  # the same on every architecture
_RULESET_VERSION, _RULE_PATH_BENEATH = 1, 1
_FS_EXECUTE, _FS_READ_FILE, _FS_READ_DIR = 1 << 0, 1 << 2, 1 << 3
_FS_BITS = {1: 13, 2: 14, 3: 15, 4: 15}  # rights by ABI; 5 and newer know 16
_NET_BOTH, _SCOPE_BOTH = 0b11, 0b11  # bind and connect TCP; abstract sockets and signals
_libc = ctypes.CDLL(None, use_errno=True)


def set_limits(cpu_s: int | None, memory: int | None) -> bool:
    """Bound this process and its children from now on; `memory` is address space in bytes."""
    limits = {resource.RLIMIT_NOFILE: OPEN_FILES, resource.RLIMIT_FSIZE: 0}
    limits[resource.RLIMIT_CORE] = 0
    if cpu_s is not None:
        limits[resource.RLIMIT_CPU] = cpu_s
    if memory is not None:
        limits[resource.RLIMIT_AS] = memory
    for kind, value in limits.items():
        resource.setrlimit(kind, (value, value))
    return True


def empty_network() -> bool:
    """Leave every network, abstract unix sockets included, behind."""
    if _libc.unshare(_CLONE_NEWUSER | _CLONE_NEWNET) == 0:
        return True
    return bool(_libc.unshare(_CLONE_NEWNET) == 0)  # root where user namespaces are switched off


def no_new_privileges() -> bool:
    """Never gain a right by executing a file."""
    return bool(_libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0)


def landlock(readable: list[Path]) -> bool:
    """Allow reading and executing below `readable` and nothing else on the file system."""
    abi = _libc.syscall(_CREATE_RULESET, None, 0, _RULESET_VERSION)
    if abi < 1:
        return False
    handled = (1 << _FS_BITS.get(abi, 16)) - 1
    attributes = struct.pack("<Q", handled)
    if abi >= 4:
        attributes += struct.pack("<Q", _NET_BOTH)
    if abi >= 6:
        attributes += struct.pack("<Q", _SCOPE_BOTH)
    ruleset = _libc.syscall(_CREATE_RULESET, attributes, len(attributes), 0)
    if ruleset < 0:
        return False
    for path in readable:
        _allow(ruleset, path)
    done = _libc.syscall(_RESTRICT_SELF, ruleset, 0) == 0
    os.close(ruleset)
    return bool(done)


def _allow(ruleset: int, path: Path) -> None:
    rights = _FS_EXECUTE | _FS_READ_FILE | (_FS_READ_DIR if path.is_dir() else 0)
    try:
        target = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return  # what is not there needs no permission
    _libc.syscall(_ADD_RULE, ruleset, _RULE_PATH_BENEATH, struct.pack("<Qi", rights, target), 0)
    os.close(target)


def die_with(parent: int) -> bool:
    """Ask for SIGKILL when the thread that started this process is gone."""
    # Set after the namespaces: gaining them clears it.
    done = _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0) == 0
    if os.getppid() != parent:
        sys.exit(1)  # it died before we asked
    return bool(done)


def enter(options: argparse.Namespace) -> dict[str, bool]:
    """Apply every layer; return which of them hold."""
    readable = [Path(item) for item in options.read]
    return {
        "limits": set_limits(options.cpu, options.memory),
        "network": empty_network(),
        "no_new_privs": no_new_privileges(),
        "landlock": not options.read or landlock(readable),
        "parent_death": die_with(options.parent),
    }


def main(arguments: list[str]) -> None:
    """Read the command line, enter the jail, become the program."""
    parser = argparse.ArgumentParser(prog="jail.py", allow_abbrev=False)
    parser.add_argument("--parent", type=int, required=True)
    parser.add_argument("--cpu", type=int)
    parser.add_argument("--memory", type=int)
    parser.add_argument("--read", action="append", default=[])
    parser.add_argument("--report", action="store_true")
    parser.add_argument("program", nargs="*")
    options = parser.parse_args(arguments)
    layers = enter(options)
    if options.report:
        sys.stdout.write(json.dumps(layers))  # noqa: TID251 (the standard library alone, see above)
        return
    os.execve(options.program[0], options.program, dict(os.environ))  # noqa: S606, TID251 (its task)


if __name__ == "__main__":
    main(sys.argv[1:])
