"""Mutated ONNX files: through NVIDIA's parser alone, and through our builders."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

from .campaign import SEED, Campaign
from .mutate import mutated_model
from .seeds import models


def file(number: int, seed: str = SEED) -> bytes:
    """Mutated ONNX file number `number`."""
    rng = random.Random(f"onnx {seed} {number}")
    return mutated_model(models()[rng.choice(list(models()))], rng)


def _recorder(nv: Any) -> Any:
    class Recorder(nv.ILogger):  # type: ignore[misc]
        def __init__(self) -> None:
            nv.ILogger.__init__(self)
            self.errors: list[str] = []

        def log(self, severity: Any, message: str) -> None:
            if severity in (nv.ILogger.Severity.ERROR, nv.ILogger.Severity.INTERNAL_ERROR):
                self.errors.append(message)

    return Recorder()


def start_nvidia() -> Callable[[int], str]:
    """NVIDIA's parser as it is, and its builder where it parsed."""
    import tensorrt_rtx as nv

    def case(number: int) -> str:
        logger = _recorder(nv)
        builder = nv.Builder(logger)
        network = builder.create_network(0)
        parser = nv.OnnxParser(network, logger)
        try:
            parsed = parser.parse(file(number))
        except Exception as error:
            return f"raises {type(error).__name__}"
        return "parses" if parsed else "False, and an error" if logger.errors or parser.num_errors else "False alone"

    return case


NVIDIA = Campaign("onnx-nvidia-parser", 1000, start_nvidia, environment={"TRT_BUILDER": "nvidia"}, fatal=False)
