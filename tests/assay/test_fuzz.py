"""Bytes that nobody meant: a parser reads them or refuses them, soon, and never in two ways."""

from __future__ import annotations

import subprocess
import sys
import time
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from assay.errors import AssayError
from tests.fuzz.seeds import seeds_of
from tests.fuzz.targets import TARGETS, Target, check

EXAMPLES = 150
LIMIT_S = 2.0  # of processor time for HEAVY_BYTES; an honest parser takes a hundredth of it
HEAVY_BYTES = 2**16
ATHERIS = Path(__file__).parent.parent.parent / "build" / "interop" / "atheris"
TOKENS = (
    *b'" { } [ ] : , \\ \\u0061 \\ud800 null true 0 -0 1.0 1e0 9007199254740993 __proto__'.split(),
    *(b"\n", b"\n\n", b"\r\n", b" ", b"\t", b"\0", b"\xff", b"\xef\xbb\xbf", b"=", b"==", b"+"),
    *("\u0085".encode(), "\u2028".encode(), "— ".encode(), b"PK\x05\x06", b"\x80\x80\x80\x80"),
)
# Each is repeated up to HEAVY_BYTES: what is slow to read twice is very slow to read again.
HEAVY = (
    *b'" \\" "\\ [ {"a": ] {} , a+ + A = 1 9 / . x000/ \\u0061 -----BEGIN'.split(),
    *(b"\n", b"\n\n", b"a\n", b"a ", b" ", b"\t", b"\0", b"\x80", b"\x0a\x02", b"\xff"),
    *(b"PK\x01\x02", b"PK\x05\x06", b"-----BEGIN PUBLIC KEY-----", b"group g any a\n"),
    *("— ".encode(), "— a AAAA\n".encode(), "\U0001f600".encode()),
)

by_name = pytest.mark.parametrize("target", TARGETS.values(), ids=TARGETS)


@st.composite
def bent(draw: st.DrawFn, seeds: tuple[bytes, ...]) -> bytes:
    """An honest artefact after a few accidents, or any bytes at all."""
    if draw(st.integers(0, 9)) == 0:
        return draw(st.binary(max_size=200))
    data = draw(st.sampled_from(seeds))
    for _ in range(draw(st.integers(1, 4))):
        data = _accident(draw, data, seeds)
    return data


def _accident(draw: st.DrawFn, data: bytes, seeds: tuple[bytes, ...]) -> bytes:
    start, end = sorted(draw(st.tuples(st.integers(0, len(data)), st.integers(0, len(data)))))
    end = min(end, start + draw(st.sampled_from((0, 1, 2, 8, 64, 10**6))))
    match draw(st.sampled_from(("byte", "cut", "again", "token", "splice", "bit"))):
        case "byte":
            return data[:start] + draw(st.binary(min_size=1, max_size=4)) + data[end:]
        case "cut":
            return data[:start] + data[end:]
        case "again":
            return data[:end] + data[start:end] + data[end:]
        case "token":
            return data[:start] + draw(st.sampled_from(TOKENS)) + data[end:]
        case "bit" if start < len(data):
            return (
                data[:start]
                + bytes([data[start] ^ 1 << draw(st.integers(0, 7))])
                + data[start + 1 :]
            )
        case _:
            other = draw(st.sampled_from(seeds))
            return data[:start] + other[draw(st.integers(0, len(other))) :]


@by_name
def test_the_seeds_are_read(target: Target) -> None:
    read = 0
    for seed in seeds_of(target):
        with suppress(AssayError):
            check(target, seed)
            read += 1
    assert read > 0


@pytest.mark.property
@by_name
def test_mallory_breaks_no_parser_and_finds_no_second_spelling(target: Target) -> None:
    @settings(max_examples=EXAMPLES, suppress_health_check=list(HealthCheck))
    @given(bent(seeds_of(target)))
    def search(data: bytes) -> None:
        with suppress(AssayError):
            check(target, data)

    search()


@by_name
def test_mallory_may_not_buy_time_by_saying_it_again(target: Target) -> None:
    (seed, *_) = seeds_of(target)
    for part in HEAVY:
        much = part * (HEAVY_BYTES // len(part))
        middle = len(seed) // 2
        for data in (much, seed[:middle] + much + seed[middle:]):
            begun = time.process_time()
            with suppress(AssayError):
                target.parse(data)
            assert time.process_time() - begun < LIMIT_S, part


def test_atheris_finds_nothing_in_a_moment(tmp_path: Path) -> None:
    """A search that goes on for hours is the same command with a larger number."""
    if find_spec("atheris") is None and not ATHERIS.is_dir():
        pytest.skip("no atheris on this machine: .ci/run installs it")
    path = [str(Path(__file__).parent.parent.parent), str(ATHERIS)]
    done = subprocess.run(
        [sys.executable, "-m", "tests.fuzz", "all", "-runs=50000", "-seed=1", "-max_len=4000"],
        cwd=tmp_path,
        env={"PYTHONPATH": ":".join(path), "PATH": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert "Done 50000 runs" in done.stderr
