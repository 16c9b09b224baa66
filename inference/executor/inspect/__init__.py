"""Steps 4 to 10 of the upload validator: an ONNX file is checked without being trusted.

Everything but `checker` is pure Python over bytes: a walk of the protobuf wire format with budgets
and an explicit stack, then counts, functions, tensors, external data, operators. No protobuf and no
ONNX library sees the file before that. It runs in a jailed child (`python -m
inference.executor.inspect walk`), and the ONNX checker in another (`… check`).
"""

from __future__ import annotations
