"""Conformance: cases with the answer that TensorRT gives, run against any backend (`python -m helpers conformance`)."""
