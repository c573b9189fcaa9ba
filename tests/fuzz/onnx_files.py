"""Mutated ONNX files: through NVIDIA's parser alone, and through the builders that the simulator serves."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

from .campaign import SEED, Campaign
from .clear import Fault, unclear
from .mutate import mutated_model
from .seeds import models


def file(number: int, seed: str = SEED) -> bytes:
    """Mutated ONNX file number `number`."""
    rng = random.Random(f"onnx {seed} {number}")
    return mutated_model(models()[rng.choice(list(models()))], rng)


def recorder(trt: Any) -> Any:
    """A logger of the user's own; its `errors` are the ERROR lines."""

    class Recorder(trt.ILogger):  # type: ignore[misc]
        def __init__(self) -> None:
            trt.ILogger.__init__(self)
            self.errors: list[str] = []

        def log(self, severity: Any, message: str) -> None:
            if severity in (trt.ILogger.Severity.ERROR, trt.ILogger.Severity.INTERNAL_ERROR):
                self.errors.append(message)

    return Recorder()


def start_nvidia() -> Callable[[int], str]:
    """NVIDIA's parser and builder as they are."""
    import tensorrt_rtx

    return lambda number: build(tensorrt_rtx, file(number))


def start_served() -> Callable[[int], str]:
    """The parser and the builder that the simulator serves as `tensorrt`'s."""
    from helpers import backend

    backend.activate("simulator", quiet=True)
    import tensorrt

    def case(number: int) -> str:
        try:
            return build(tensorrt, file(number))
        except Fault as fault:
            return f"BAD: {fault}"
        except Exception as error:
            return f"BAD: raises {type(error).__name__}: {str(error)[:200]}"

    build(tensorrt, models()["classifier"].SerializeToString())
    return case


def build(trt: Any, data: bytes) -> str:
    """Parse, and build with a profile for what is dynamic; what became of it in a few words.

    Raises:
        Fault: False or None without a clear error.
    """
    logger = recorder(trt)
    builder = trt.Builder(logger)
    network = builder.create_network(0)
    parser = trt.OnnxParser(network, logger)
    if not parser.parse(data):
        _said(logger, "parse False")
        return "parse False: it would end the process" if "ends its process" in logger.errors[-1] else "parse False"
    config, profile = builder.create_builder_config(), builder.create_optimization_profile()
    for tensor in [network.get_input(i) for i in range(network.num_inputs)]:
        if -1 in tuple(tensor.shape):
            shapes = [tuple(size if d < 0 else d for d in tensor.shape) for size in (1, 2, 4)]
            profile.set_shape(tensor.name, *shapes)
    config.add_optimization_profile(profile)
    if builder.build_serialized_network(network, config) is None:
        _said(logger, "build None")
        return "parses, build None"
    return "parses and builds"


def _said(logger: Any, verdict: str) -> None:
    if not logger.errors:
        raise Fault(f"{verdict}, and no error")
    for text in logger.errors:
        if why := unclear(text):
            raise Fault(f"{verdict}, and the error {why}")


NVIDIA = Campaign("onnx-nvidia-alone", 1000, start_nvidia, environment={"TRT_BUILDER": "nvidia"}, fatal=False)
GUARDED = Campaign("onnx-nvidia-guarded", 1000, start_served, 60.0, environment={"TRT_BUILDER": "nvidia"})
PORTABLE = Campaign("onnx-python-builder", 1000, start_served, environment={"TRT_BUILDER": "python"})
