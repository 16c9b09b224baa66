"""Rounding is told from a lie: within the bound of its class an element is close, else diverged."""

from __future__ import annotations

import math
import struct

import pytest

from assay.closeness import (
    DEFAULT_AXIS,
    DEFAULT_K,
    Bound,
    bound_for,
    bound_of,
    close,
    exact,
    reduction,
    ulp,
)
from assay.errors import FormatError, MisuseError
from assay.tensors import encode_bytes

ONE = {
    "FP16": bytes.fromhex("003c"),
    "BF16": bytes.fromhex("803f"),
    "FP32": bytes.fromhex("0000803f"),
    "FP64": bytes.fromhex("000000000000f03f"),
}
QUIET = bytes.fromhex("0000c07f")


def above(one: bytes, steps: int) -> bytes:
    """Return the float `steps` units in the last place above."""
    return (int.from_bytes(one, "little") + steps).to_bytes(len(one), "little")


def floats(*values: float) -> bytes:
    return struct.pack(f"<{len(values)}f", *values)


@pytest.mark.parametrize("datatype", ONE)
def test_units_in_the_last_place_are_those_of_the_datatype(datatype: str) -> None:
    one = ONE[datatype]
    for steps, verdict in ((0, "exact"), (3, "close"), (4, "close"), (5, "diverged")):
        found = close(datatype, one, above(one, steps), bound=ulp(4))
        assert (found.verdict, found.worst) == (verdict, steps / 4)
        assert found.place == (0 if steps else None)


@pytest.mark.parametrize("datatype", ONE)
def test_below_the_smallest_normal_number_a_unit_grows_no_smaller(datatype: str) -> None:
    zero = bytes(len(ONE[datatype]))
    assert close(datatype, zero, above(zero, 2), bound=ulp(2)).verdict == "close"
    assert close(datatype, above(zero, 5), above(zero, 2), bound=ulp(2)).verdict == "diverged"


def test_the_worst_element_is_named_wherever_it_hides() -> None:
    claimed = floats(*[1.0] * 3000)
    bent = bytearray(claimed)
    bent[4 * 17 : 4 * 18] = above(ONE["FP32"], 1)
    bent[4 * 2222 : 4 * 2223] = above(ONE["FP32"], 7)
    bent[4 * 2999 :] = above(ONE["FP32"], 2)
    found = close("FP32", claimed, bytes(bent), bound=ulp(8))
    assert (found.verdict, found.worst, found.place) == ("close", 7 / 8, 2222)
    assert close("FP32", claimed, bytes(bent), bound=ulp(6)).verdict == "diverged"


def test_a_floor_lets_small_values_lose_their_last_bits() -> None:
    near, far = floats(0.0), floats(0.0009)
    assert close("FP32", near, far, bound=ulp(1, 2**-10)).verdict == "close"
    assert close("FP32", near, far, bound=ulp(1)).verdict == "diverged"
    assert close("FP32", floats(0.0), floats(0.001), bound=ulp(1, 2**-10)).verdict == "diverged"


def test_where_nothing_is_allowed_one_bit_is_too_much() -> None:
    found = close("FP32", ONE["FP32"], above(ONE["FP32"], 1), bound=exact())
    assert (found.verdict, found.worst, found.place) == ("diverged", math.inf, 0)


def test_zeros_of_two_signs_are_one_number_and_two_bit_patterns() -> None:
    found = close("FP32", floats(0.0), floats(-0.0), bound=exact())
    assert (found.verdict, found.worst, found.place) == ("close", 0.0, 0)


def test_every_nan_is_the_same_answer() -> None:
    other = bytes.fromhex("0100c0ff")
    assert close("FP32", QUIET, other, bound=exact()).verdict == "exact"
    assert close("FP32", QUIET + floats(1), other + floats(1), bound=exact()).verdict == "exact"
    mixed = close("FP32", QUIET + floats(0.0), other + floats(-0.0), bound=exact())
    assert mixed.verdict == "close"


@pytest.mark.parametrize("value", [math.inf, -math.inf, math.nan])
def test_nobody_may_answer_infinity_or_nothing_for_a_number(value: float) -> None:
    for bound in (ulp(10**6, 1e30), reduction(10**6)):
        found = close("FP32", floats(1.0, 2.0), floats(1.0, value), bound=bound)
        assert (found.verdict, found.worst, found.place) == ("diverged", math.inf, 1)
    assert close("FP32", floats(value), floats(value), bound=exact()).verdict == "exact"


# ------------------------------------------------------------------ sums


def test_a_sum_may_err_with_the_root_of_its_length() -> None:
    claimed = floats(100.0, 0.0)
    for k, error, verdict in (
        (1, 100 * 3.5 * 2**-24, "close"),
        (1, 100 * 4.5 * 2**-24, "diverged"),
        (4096, 100 * 129 * 2**-24, "close"),
        (4096, 100 * 131 * 2**-24, "diverged"),
    ):
        found = close("FP32", claimed, floats(100.0, error), bound=reduction(k))
        assert (found.verdict, found.place) == (verdict, 1)


def test_a_lie_of_a_thousandth_is_not_rounding() -> None:
    claimed = floats(*[0.5, -3.0, 8.0])
    found = close("FP32", claimed, floats(0.508, -3.0, 8.0), bound=reduction(DEFAULT_K))
    assert (found.verdict, found.place) == ("diverged", 0)
    assert found.worst > 100


def test_known_sizes_of_the_terms_tell_what_the_largest_element_hides() -> None:
    claimed, replayed = floats(1000.0, 0.001), floats(1000.0, 0.0011)
    assert close("FP32", claimed, replayed, bound=reduction(64)).verdict == "close"
    scale = floats(1000.0, 0.002)
    found = close("FP32", claimed, replayed, bound=reduction(64), scale=scale)
    assert (found.verdict, found.place) == ("diverged", 1)


def test_between_the_usual_and_the_possible_error_the_verdict_says_so() -> None:
    scale = floats(1.0)
    for error, verdict in ((100, "close"), (1000, "sound"), (5000, "diverged")):
        replayed = floats(error * 2**-24)
        found = close("FP32", floats(0.0), replayed, bound=reduction(4096), scale=scale)
        assert found.verdict == verdict
    endless = close("FP32", floats(0.0), floats(4.0), bound=reduction(2**25), scale=scale)
    assert endless.verdict == "diverged"


@pytest.mark.parametrize("datatype", ["FP16", "BF16"])
def test_the_narrow_types_are_rounded_once_at_the_end_of_a_sum(datatype: str) -> None:
    one = ONE[datatype]
    assert close(datatype, one, above(one, 4), bound=reduction(1024)).verdict == "close"
    assert close(datatype, one, above(one, 6), bound=reduction(1024)).verdict == "diverged"


def test_an_infinity_that_both_have_is_no_measure_of_the_others() -> None:
    claimed, replayed = floats(math.inf, 1.0), floats(math.inf, 1.5)
    assert close("FP32", claimed, replayed, bound=reduction(64)).verdict == "diverged"
    alone = close("FP32", floats(math.inf), floats(-math.inf), bound=reduction(64))
    assert alone.verdict == "diverged"


# ------------------------------------------------------------------ what is no float


def test_no_rounding_excuses_another_integer_or_another_word() -> None:
    loose = reduction(DEFAULT_K)
    found = close("INT64", struct.pack("<2q", 1, 2), struct.pack("<2q", 1, 3), bound=loose)
    assert (found.verdict, found.worst, found.place) == ("diverged", math.inf, 1)
    words = close("BYTES", encode_bytes([b"cat"]), encode_bytes([b"dog"]), bound=loose)
    assert (words.verdict, words.place) == ("diverged", None)
    assert close("BYTES", encode_bytes([b"cat"]), encode_bytes([b"cat"]), bound=loose) == close(
        "BOOL", b"\x01", b"\x01", bound=exact()
    )


def test_tensors_of_two_sizes_differ_nowhere_in_particular() -> None:
    found = close("FP32", floats(1.0), floats(1.0, 1.0), bound=ulp(1))
    assert (found.verdict, found.worst, found.place) == ("diverged", math.inf, None)


def test_a_wrong_question_gets_no_verdict() -> None:
    with pytest.raises(FormatError, match="unknown"):
        close("FP8", b"\x00", b"\x01", bound=exact())
    with pytest.raises(FormatError, match="whole number"):
        close("FP32", b"abc", b"abd", bound=exact())
    with pytest.raises(MisuseError, match="scale"):
        close("FP32", floats(1.0), floats(2.0), bound=reduction(1), scale=b"")
    with pytest.raises(MisuseError):
        reduction(0)
    for n, floor in ((-1.0, 0.0), (math.inf, 0.0), (1.0, math.nan)):
        with pytest.raises(MisuseError):
            ulp(n, floor)


# ------------------------------------------------------------------ operators


@pytest.mark.parametrize(
    ("operator", "bound"),
    [
        ("Relu", exact()),
        ("Transpose", exact()),
        ("ArgMax", exact()),
        ("Add", ulp(1)),
        ("Div", ulp(2)),
        ("BatchNormalization", ulp(12)),
        ("Exp", ulp(32)),
        ("Sigmoid", ulp(34)),
        ("Tanh", ulp(1, 2**-10)),
        ("Softmax", ulp(33)),
        ("LogSoftmax", ulp(33, 2**-10)),
        ("MatMul", reduction(10)),
        ("NobodyKnowsThis", reduction(10)),
    ],
)
def test_an_operator_has_the_bound_of_its_class(operator: str, bound: Bound) -> None:
    assert bound_of(operator, k=10) == bound


def test_a_graph_has_the_loosest_bound_of_its_operators() -> None:
    assert bound_for([]) == exact()
    assert bound_for(["Relu", "Reshape"]).kind == "exact"
    assert bound_for(["Relu", "Exp", "Add"]) == ulp(32)
    assert bound_for(["Tanh", "Div"]) == ulp(2, 2**-10)
    assert bound_for(["Conv", "Relu", "Softmax"]) == Bound(ulps=3 * DEFAULT_AXIS + 3, k=DEFAULT_K)
    assert bound_for(["Conv"]).kind == "reduction"
    assert bound_for(["Sigmoid"]).kind == "ulp"
