"""The identity of a portable runtime: the three files of ONNX Runtime's WebAssembly build.

The same three files are served to browsers, so that anyone can run the same bytes again.
"""

from __future__ import annotations

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
