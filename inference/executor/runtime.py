"""The identity of a runtime: the digest of its files, and what else moves bits.

`portable` is the three files of ONNX Runtime's WebAssembly build. The same three files are served
to browsers, so that anyone can run the same bytes again. `native` is onnxruntime's shared libraries
and the instruction sets of this processor that they dispatch on.
"""

from __future__ import annotations

import importlib.metadata
import re
from pathlib import Path

from assay.digests import sha256_hex
from assay.errors import UnavailableError
from assay.manifest import Resource
from assay.statements import Runtime

FILES = ("ort-wasm-simd-threaded.mjs", "ort-wasm-simd-threaded.wasm", "ort.wasm.min.mjs")
NAME = "onnxruntime-web"
_VERSION = re.compile(rb"ONNX Runtime Web v(\d+\.\d+\.\d+)")
_BANNER_BYTES = 256
NATIVE = "onnxruntime"
_LIBRARIES = ("libonnxruntime.so.*", "onnxruntime_pybind11_state*.so")
# What MLAS, its kernels' library, asks the processor for (x86-64, then Arm).
_ISA = (
    *("sse4_1", "avx", "avx2", "fma", "f16c", "avx_vnni", "avx512f", "avx512bw", "avx512dq"),
    *("avx512vl", "avx512_vnni", "avx512_bf16", "amx_tile", "amx_int8", "amx_bf16"),
    *("asimd", "asimdhp", "asimddp", "i8mm", "bf16", "sve", "svei8mm"),
)
_CPU = Path("/proc/cpuinfo")


def load_runtime(folder: Path) -> Runtime:
    """Return the runtime object of the files in `folder` (the digest is over their bytes).

    Raises:
        UnavailableError: a file is missing, or the files do not say their version.
    """
    try:
        contents = {name: (folder / name).read_bytes() for name in FILES}
    except OSError as error:
        raise UnavailableError(f"no portable runtime in {folder}: {error.strerror}") from error
    banner = _VERSION.search(contents["ort.wasm.min.mjs"][:_BANNER_BYTES])
    if banner is None:
        raise UnavailableError(f"{folder} holds another program than {NAME}")
    return Runtime(
        kind="portable",
        name=NAME,
        version=banner.group(1).decode(),
        files=tuple(
            Resource(name=name, sha256=sha256_hex(contents[name])) for name in sorted(FILES)
        ),
        level="all",
        threads=1,
    )


def load_native() -> Runtime:
    """Return the runtime object of the onnxruntime that is installed here, on this processor.

    Nothing of it is imported: the supervisor never holds what runs models.

    Raises:
        UnavailableError: it is not installed, or cannot be read.
    """
    try:
        found = importlib.metadata.distribution(NATIVE)
        folder = Path(str(found.locate_file("onnxruntime"))) / "capi"
        paths = sorted(path for pattern in _LIBRARIES for path in folder.glob(pattern))
        files = [(path.name, sha256_hex(path.read_bytes())) for path in paths]
        flags = set(_CPU.read_text().split())
    except (importlib.metadata.PackageNotFoundError, OSError) as error:
        raise UnavailableError(f"no native runtime here: {error}") from error
    if len(files) < len(_LIBRARIES):
        raise UnavailableError(f"no native runtime here: {folder} lacks its libraries")
    return Runtime(
        kind="native",
        name=NATIVE,
        version=found.version,
        files=tuple(Resource(name=name, sha256=sha256) for name, sha256 in sorted(files)),
        level="all",
        threads=1,
        isa=tuple(sorted(flags.intersection(_ISA))),
    )
