"""Stand-in for TODO 2 of Exercise 1."""

from __future__ import annotations

from pathlib import Path
from typing import Any


def parse_network(builder: Any, onnx_path: str | Path, logger: Any) -> Any:
    """The network in the ONNX file. Raises RuntimeError with the parser's first error."""
    import tensorrt as trt

    network = builder.create_network(1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED))
    parser = trt.OnnxParser(network, logger)
    if not parser.parse(Path(onnx_path).read_bytes()):
        reason = parser.get_error(0).desc() if parser.num_errors else "no reason given"
        raise RuntimeError(f"{onnx_path} could not be parsed: {reason}")
    return network
