"""The native kind: onnxruntime's CPU provider in a jailed process, one model each."""
