"""LitServe serving one ONNX model. It runs in its own environment, without Assay.

    build/bench/bin/python bench/peers_litserve.py MODEL INPUT PORT

onnxruntime on the CPU, one thread in each of two workers, as many as the machine has cores, and as
many web processes. It stores, signs and logs nothing.
"""

from __future__ import annotations

import sys
from typing import Any

import litserve as ls  # type: ignore[import-not-found]  # only in its environment
import numpy as np
import onnxruntime as ort

WORKERS = 2


class Api(ls.LitAPI):  # type: ignore[misc]  # as above
    """`{"input": nested lists}` to `{"output": nested lists}`."""

    def setup(self, device: str) -> None:
        """Load the model in a worker."""
        options = ort.SessionOptions()
        options.intra_op_num_threads = 1
        self.session = ort.InferenceSession(sys.argv[1], options)

    def decode_request(self, request):  # type: ignore[no-untyped-def]  # LitServe reads them
        """Read the tensor."""
        return np.asarray(request["input"], dtype=np.float32)

    def predict(self, data: Any) -> Any:
        """Run the model."""
        return self.session.run(None, {sys.argv[2]: data})

    def encode_response(self, output: Any) -> dict[str, Any]:
        """Write the tensors."""
        return {"output": [item.tolist() for item in output]}


if __name__ == "__main__":
    server = ls.LitServer(Api(), accelerator="cpu", workers_per_device=WORKERS)
    server.run(
        host="127.0.0.1",
        port=int(sys.argv[3]),
        num_api_servers=WORKERS,
        generate_client_file=False,
    )
