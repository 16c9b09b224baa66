"""How far two results of one computation may lie apart, by class of operator.

Two honest runs under one runtime are equal, bit for bit: that is the verdict `exact`, and no
tolerance is asked for. Runs on other instruction sets round in another order. Three classes say how
much that may move an element:

    exact       movement, comparison, integers, Relu, Max: nothing
    ulp         Add, Div, Exp, Softmax: some units in the last place, or less than a floor
    reduction   MatMul, Conv, sums of K products: c * sqrt(K) * u * S, S the same sum over absolute
                values; no order of summing errs beyond gamma_K * S = K * u / (1 - K * u) * S

The limits of `ulp` are those of the WebNN conformance tests (web-platform-tests/wpt), for FP32, and
are used for every float type. S is known where one node was run again on absolute values; without
it, the largest magnitude of the tensor stands in. That is an estimate: it tells rounding from an
altered answer, and proves nothing by itself.

    bound = bound_for(["Conv", "Relu", "Softmax"])
    found = close("FP32", claimed, replayed, bound=bound)
    found.verdict, found.worst, found.place     # "close", 0.18, 731
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from assay.errors import FormatError, MisuseError
from assay.tensors import CODES, DATATYPES

EXACT, CLOSE, SOUND, DIVERGED = "exact", "close", "sound", "diverged"

# c of the reduction class: 2 to 8192 products of normal numbers, and of their magnitudes, summed in
# FP32 one by one and in blocks, differed by at most 1.42 * sqrt(K) * u * S.
CALIBRATED = 2.0
DEFAULT_K = 4_608  # 512 channels under a 3x3 kernel, the longest sum of ResNet-50
DEFAULT_AXIS = 1_000  # the classes of ImageNet, under its Softmax
_ABSOLUTE = 2.0**-10
_CHUNK = 1_024  # elements that are compared as bytes before anyone looks at one of them

# Bits of the mantissa, and the exponent of the smallest normal number.
_FLOATS = {"FP16": (10, -14), "BF16": (7, -126), "FP32": (23, -126), "FP64": (52, -1022)}
_NARROW = ("FP16", "BF16")
_SINGLE = 2.0**-24  # one relative rounding error of FP32


@dataclass(frozen=True, slots=True, kw_only=True)
class Bound:
    """How far two elements may lie apart; made by `exact`, `ulp` and `reduction`.

    `ulps` units in the last place, `floor` in the tensor's own unit, `k` the number of products in
    a sum (0: no sum). The widest of the three decides.
    """

    ulps: float = 0.0
    floor: float = 0.0
    k: int = 0

    @property
    def kind(self) -> str:
        """`exact`, `ulp` or `reduction`."""
        if self.k:
            return "reduction"
        return "ulp" if self.ulps or self.floor else "exact"

    def looser(self, other: Bound) -> Bound:
        """Return the bound that allows what either of the two allows."""
        return Bound(
            ulps=max(self.ulps, other.ulps),
            floor=max(self.floor, other.floor),
            k=max(self.k, other.k),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Closeness:
    """A verdict over two tensors of one datatype and shape.

    `verdict` is `exact` (every element has the same bits, or is a NaN on both sides), `close`
    (within the bound), `sound` (beyond the calibrated bound and within gamma_K * S, which only a
    run on absolute values can tell: look closer) or `diverged`. `worst` is the largest error
    in units of what the bound allows: 0 none, 1 the limit, infinite where nothing is allowed.
    `place` is the flat index of that element, None where no element differs or the sizes do.
    """

    verdict: str
    worst: float = 0.0
    place: int | None = None


def exact() -> Bound:
    """Return the bound that allows nothing."""
    return Bound()


def ulp(n: float, floor: float = 0.0) -> Bound:
    """Return the bound of `n` units in the last place, or an error below `floor`.

    Raises:
        MisuseError: a negative or infinite limit.
    """
    if not (0 <= n < math.inf and 0 <= floor < math.inf):
        raise MisuseError("a limit is a number from 0")
    return Bound(ulps=float(n), floor=float(floor))


def reduction(k: int) -> Bound:
    """Return the bound of a sum of `k` products.

    Raises:
        MisuseError: `k` is not positive.
    """
    if k < 1:
        raise MisuseError("a sum has at least one term")
    return Bound(k=k)


def _names(*lines: str) -> frozenset[str]:
    return frozenset(name for line in lines for name in line.split())


_EXACT = _names(
    "Abs And ArgMax ArgMin BitShift BitwiseAnd BitwiseNot BitwiseOr BitwiseXor Cast CastLike Ceil",
    "Clip Compress Concat ConcatFromSequence Constant ConstantOfShape ConvInteger DepthToSpace",
    "Dropout Equal Expand EyeLike Flatten Floor Gather GatherElements GatherND GlobalMaxPool",
    "Greater GreaterOrEqual Identity IsInf IsNaN Less LessOrEqual MatMulInteger Max MaxPool",
    "MaxUnpool Min Mod Neg NonMaxSuppression NonZero Not OneHot Or Pad Range ReduceMax ReduceMin",
    "Relu Reshape ReverseSequence Round ScatterElements ScatterND SequenceAt SequenceConstruct",
    "SequenceEmpty SequenceErase SequenceInsert SequenceLength Shape Sign Size Slice SpaceToDepth",
    "Split SplitToSequence Squeeze StringConcat StringNormalizer StringSplit Tile TopK Transpose",
    "Trilu Unique Unsqueeze Where Xor",
)
# Units in the last place (WebNN, float32). BatchNormalization: 6 there, 12 reached by ONNX Runtime.
_ULPS = {
    **dict.fromkeys(_names("Add DequantizeLinear LeakyRelu Mul PRelu Sqrt Sub ThresholdedRelu"), 1),
    **dict.fromkeys(("Div", "Reciprocal", "HardSigmoid"), 2),
    **dict.fromkeys(("Softsign",), 3),
    **dict.fromkeys(("HardSwish",), 4),
    **dict.fromkeys(("BatchNormalization",), 12),
    **dict.fromkeys(("Elu", "Selu", "Celu", "Softplus", "Gelu", "Mish"), 18),
    **dict.fromkeys(("Exp", "Pow"), 32),
    **dict.fromkeys(("Sigmoid", "Swish"), 34),
}
_FLOORED = _names(
    "Acos Acosh Asin Asinh Atan Atanh Cos Cosh Erf LayerNormalization Log Sin Sinh Tan Tanh"
)
_SOFTMAX = ("Softmax", "LogSoftmax")


def bound_of(operator: str, *, k: int | None = None) -> Bound:
    """Return the bound of one operator; `k` is the length of its sums, or of its Softmax axis.

    Where nobody knows `k`, a long one stands in: `DEFAULT_K`, `DEFAULT_AXIS`. An operator that is
    not known here counts as a reduction, so that nobody is blamed on a guess.
    """
    if operator in _EXACT:
        return exact()
    if operator in _ULPS:
        return ulp(_ULPS[operator])
    if operator in _FLOORED:
        return ulp(1, _ABSOLUTE)
    if operator in _SOFTMAX:
        return ulp(3 * (k or DEFAULT_AXIS) + 3, 0.0 if operator == "Softmax" else _ABSOLUTE)
    return reduction(k or DEFAULT_K)


def bound_for(operators: Sequence[str], *, k: int | None = None) -> Bound:
    """Return the loosest bound of `operators`: those of a graph that reach the output."""
    bound = exact()
    for operator in operators:
        bound = bound.looser(bound_of(operator, k=k))
    return bound


def close(
    datatype: str, claimed: bytes, replayed: bytes, *, bound: Bound, scale: bytes | None = None
) -> Closeness:
    """Compare the little-endian bytes of two tensors of `datatype` and of one shape.

    Integers, BOOL and BYTES are equal or diverged: no rounding excuses them. `scale` are the bytes
    of S, element by element, in the same datatype, for a bound of the class `reduction`.

    Raises:
        FormatError: an unknown datatype, or bytes that are no whole number of elements.
        MisuseError: `scale` has another size.
    """
    if datatype not in DATATYPES:
        raise FormatError(f"the datatype {datatype[:64]!r} is unknown")
    if claimed == replayed:
        return Closeness(verdict=EXACT)
    if len(claimed) != len(replayed):
        return Closeness(verdict=DIVERGED, worst=math.inf)
    if datatype not in _FLOATS:
        return Closeness(
            verdict=DIVERGED, worst=math.inf, place=_first(datatype, claimed, replayed)
        )
    width = DATATYPES[datatype] or 1
    if len(claimed) % width:
        raise FormatError(f"is no whole number of elements of {datatype}")
    if scale is not None and len(scale) != len(claimed):
        raise MisuseError("a scale has an element for each of the tensor's")
    ruler = _Ruler.of(datatype, claimed, replayed, bound, scale)
    return _compare(ruler, claimed, replayed, width)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Ruler:
    """What one element may differ by.

    `calibrated` and `sound` are the limits of a sum as shares of S; `estimate` stands in for S
    where `scale` does not tell it element by element.
    """

    datatype: str
    bound: Bound
    calibrated: float
    sound: float
    estimate: float
    scale: bytes | None

    @classmethod
    def of(
        cls, datatype: str, claimed: bytes, replayed: bytes, bound: Bound, scale: bytes | None
    ) -> _Ruler:
        unit = 2.0 ** -(_FLOATS[datatype][0] + 1)
        # The narrow types are summed in FP32, and rounded where the sum ends.
        inner, ends = (_SINGLE, 8 * unit) if datatype in _NARROW else (unit, 2 * unit)
        calibrated = ends + CALIBRATED * math.sqrt(bound.k) * inner if bound.k else 0.0
        gamma = min(bound.k * inner, 0.5)
        estimate = 0.0
        if bound.k and scale is None:
            estimate = max(_magnitude(datatype, data) for data in (claimed, replayed))
        return cls(
            datatype=datatype,
            bound=bound,
            calibrated=calibrated,
            sound=max(calibrated, ends + gamma / (1 - gamma)),
            estimate=estimate,
            scale=scale,
        )

    def shares(self, index: int, a: float, b: float) -> tuple[float, float]:
        """Return the error of element `index` in units of the calibrated and the sound limit."""
        if math.isnan(a) and math.isnan(b):
            return 0.0, 0.0
        error = abs(a - b)
        if not math.isfinite(error):
            return math.inf, math.inf
        spacing = _spacing(self.datatype, max(abs(a), abs(b)))
        plain = max(self.bound.ulps * spacing, self.bound.floor)
        if self.scale is None:
            near = _share(error, max(plain, self.calibrated * self.estimate))
            return near, near
        size = abs(_one(self.datatype, self.scale, index))
        limits = (max(plain, share * size) for share in (self.calibrated, self.sound))
        near, far = (_share(error, limit) for limit in limits)
        return near, far


def _compare(ruler: _Ruler, claimed: bytes, replayed: bytes, width: int) -> Closeness:
    worst, place, beyond, same = 0.0, None, 0.0, True
    for index in _differing(claimed, replayed, width):
        a, b = (_one(ruler.datatype, data, index) for data in (claimed, replayed))
        near, far = ruler.shares(index, a, b)
        same = same and math.isnan(a) and math.isnan(b)
        beyond = max(beyond, far)
        if place is None or near > worst:
            worst, place = near, index
    if same:
        return Closeness(verdict=EXACT)
    found = Closeness(verdict=CLOSE, worst=worst, place=place)
    if worst <= 1:
        return found
    return replace(found, verdict=SOUND if beyond <= 1 else DIVERGED)


def _differing(claimed: bytes, replayed: bytes, width: int) -> Iterator[int]:
    """Yield the index of each element whose bytes differ."""
    step = _CHUNK * width
    for start in range(0, len(claimed), step):
        end = start + step
        if claimed[start:end] == replayed[start:end]:
            continue
        for offset in range(start, min(end, len(claimed)), width):
            if claimed[offset : offset + width] != replayed[offset : offset + width]:
                yield offset // width


def _first(datatype: str, claimed: bytes, replayed: bytes) -> int | None:
    """Return the index of the first element that differs; of strings nobody asks for one."""
    width = DATATYPES[datatype]
    return None if width is None else next(_differing(claimed, replayed, width))


def _share(error: float, allowed: float) -> float:
    if error == 0:
        return 0.0  # zeros of two signs
    return error / allowed if allowed else math.inf


def _spacing(datatype: str, value: float) -> float:
    """Return the distance from `value` to the next larger number of `datatype`."""
    mantissa, smallest = _FLOATS[datatype]
    exponent = max(math.frexp(value)[1] - 1 if value else smallest, smallest)
    return math.ldexp(1.0, exponent - mantissa)


def _one(datatype: str, data: bytes, index: int) -> float:
    if datatype == "BF16":
        raw = data[2 * index : 2 * index + 2]
        return float(struct.unpack("<f", b"\x00\x00" + raw)[0])
    code = f"<{CODES[datatype]}"
    return float(struct.unpack_from(code, data, index * struct.calcsize(code))[0])


def _magnitude(datatype: str, data: bytes) -> float:
    """Return the largest finite magnitude in `data`, 0 where there is none."""
    return max((abs(value) for value in _values(datatype, data) if math.isfinite(value)), default=0)


def _values(datatype: str, data: bytes) -> Iterator[float]:
    if datatype == "BF16":
        yield from (_one(datatype, data, index) for index in range(len(data) // 2))
    else:
        yield from (value for (value,) in struct.iter_unpack(f"<{CODES[datatype]}", data))
