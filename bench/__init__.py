"""Benchmarks: how cost grows. Each prints ratios against a named peer of the same run."""
