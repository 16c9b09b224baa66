"""The files of a runtime, checked by digest, and the runtimes that are known to this package."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from assay.digests import sha256_hex
from assay.errors import FormatError, UnavailableError, VerificationError
from assay.replay.sources import Registry
from assay.statements import Runtime

# Digests over the three files of the published npm package (their raw digests, in name order).
KNOWN_RUNTIMES = {
    "3b51fdee3c3bca55a8374f7c1f93963eaf5940907ae3387354b33af71550606d": "onnxruntime-web 1.30.0",
}
NAMES = ("ort-wasm-simd-threaded.mjs", "ort-wasm-simd-threaded.wasm", "ort.wasm.min.mjs")


def files_from_folder(runtime: Runtime, folder: Path) -> dict[str, bytes]:
    """Return the files of `runtime` from a folder that the reader named, and so trusts.

    Raises:
        UnavailableError: this kind of runtime is not replayed here, or a file cannot be read.
        VerificationError: a file is another one than the receipt's.
    """

    def read(name: str) -> bytes:
        try:
            return (folder / name).read_bytes()
        except OSError as error:
            raise UnavailableError(f"cannot read {folder / name}: {error.strerror}") from error

    return _files(runtime, read)


def files_from_registry(runtime: Runtime, registry: Registry) -> dict[str, bytes]:
    """Return the files of a known runtime from the registry.

    Raises:
        UnavailableError: a runtime that this package does not know, or no answer.
        VerificationError: a file is another one than the receipt's.
    """
    if runtime.digest not in KNOWN_RUNTIMES:
        raise UnavailableError(
            f"the runtime {runtime.name} {runtime.version} ({runtime.digest}) is not known here, "
            "and its files are programs: get them from a source you trust and name the folder "
            "with --runtime"
        )
    return _files(runtime, lambda name: registry.runtime_file(runtime.digest, name))


def _files(runtime: Runtime, read: Callable[[str], bytes]) -> dict[str, bytes]:
    if runtime.kind != "portable":
        raise UnavailableError(f"a {runtime.kind} runtime is not replayed here")
    if tuple(item.name for item in runtime.files) != NAMES:
        raise FormatError("is not the three files of onnxruntime-web", "runtime.files")
    files = {}
    for item in runtime.files:
        data = read(item.name)
        found = sha256_hex(data)
        if found != item.sha256:
            raise VerificationError(
                f"the runtime's file {item.name} is another one", expected=item.sha256, found=found
            )
        files[item.name] = data
    return files
