"""Executions, and what is kept about them."""

from __future__ import annotations

from inference.models.execution import INLINE_BYTES, Execution, Tensors

__all__ = ["INLINE_BYTES", "Execution", "Tensors"]
