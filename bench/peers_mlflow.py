"""Saves an ONNX model as `mlflow models serve` takes it. It runs in MLflow's environment.

    build/bench/bin/python bench/peers_mlflow.py MODEL FOLDER

onnxruntime on the CPU with one thread. What is served stores, signs and logs nothing.
"""

from __future__ import annotations

import sys

import mlflow.onnx as flavor  # type: ignore[import-not-found]  # only in its environment
import onnx

if __name__ == "__main__":
    options = {"intra_op_num_threads": 1}
    flavor.save_model(onnx.load(sys.argv[1]), sys.argv[2], onnx_session_options=options)
