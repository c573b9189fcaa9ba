"""Runs a plan's ONNX model with ONNX Runtime, on memory that the device gives by address."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from .plan import DTYPES, Plan, Shape, TensorSpec

if TYPE_CHECKING:
    import onnx

# Initializers above this size carry weights, not shapes: shape inference does without their values.
_SHAPE_DATA_LIMIT = 1024


class ExecutionError(RuntimeError):
    """ONNX Runtime could not load or run the model; the text is its own, shortened."""


class Engine:
    """An opened plan: one ONNX Runtime session, its I/O tensors, and the shapes of its outputs.

    Raises:
        ExecutionError: ONNX Runtime is not installed or refuses the model.
    """

    def __init__(self, plan: Plan, threads: int = 0) -> None:
        self.plan = replace(plan, nvidia=b"")  # only a GPU could use those bytes
        self.inputs = tuple(t for t in plan.tensors if t.mode == "INPUT")
        self.outputs = tuple(t for t in plan.tensors if t.mode == "OUTPUT")
        self._threads = threads
        self._session = self._new_session(["CPUExecutionProvider"])
        self._bindings: dict[int, tuple[Any, Any]] = {}
        self._shapes: dict[tuple[Shape, ...], dict[str, Shape]] = {}
        self._skeleton: onnx.ModelProto | None = None
        self._unused = {t.onnx_name for t in self.inputs} - {i.name for i in self._session.get_inputs()}

    def _new_session(self, providers: list[Any]) -> Any:
        ort = _onnxruntime()
        options = ort.SessionOptions()
        options.log_severity_level = 4  # what ONNX Runtime has to say comes back as an exception
        # Threads that spin while they wait take the cores from whoever shares them (a notebook's own PyTorch).
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        if self._threads:
            options.intra_op_num_threads = self._threads
        try:
            return ort.InferenceSession(self.plan.onnx, options, providers=providers)
        except Exception as error:
            raise ExecutionError(
                f"Internal Error (ONNX Runtime cannot load the plan's model: {_short(error)})"
            ) from None

    def outside_profile(self, tensor: TensorSpec, shape: Shape, profile: int) -> str | None:
        """Why `shape` is not one that `profile` allows for `tensor`; None where it is."""
        if not 0 <= profile < len(self.plan.profiles):
            return f"profile {profile} does not exist; the plan has {len(self.plan.profiles)}"
        if len(shape) != len(tensor.shape):
            return (
                f"input tensor {tensor.name!r} has {len(tensor.shape)} dimensions, the shape {list(shape)} has"
                f" {len(shape)}"
            )
        low, _, high = self.plan.profiles[profile].get(tensor.name, (tensor.shape,) * 3)
        if any(not a <= d <= b for a, d, b in zip(low, shape, high, strict=True)):
            return (
                f"input tensor {tensor.name!r}: shape {list(shape)} is outside profile {profile}, "
                f"which has {list(low)} to {list(high)}"
            )
        return None

    def output_shapes(self, given: Mapping[str, Shape]) -> dict[str, Shape]:
        """Shapes of the outputs for shapes of all inputs; -1 for a dimension that depends on values."""
        key = tuple(given[t.name] for t in self.inputs)
        if key not in self._shapes:
            self._shapes[key] = self._infer(dict(given))
        return self._shapes[key]

    def _infer(self, given: dict[str, Shape]) -> dict[str, Shape]:
        # The graph's own dimension names answer most cases; the rest goes through ONNX shape inference.
        symbols: dict[str, int] = {}
        for info in self._session.get_inputs():
            tensor = next(t for t in self.inputs if t.onnx_name == info.name)
            for dim, size in zip(info.shape, given[tensor.name], strict=True):
                if isinstance(dim, str) and symbols.setdefault(dim, size) != size:
                    raise ExecutionError(
                        f"Dimensions with name {dim} must be equal. Input {tensor.name!r} has"
                        f" {list(given[tensor.name])}, another input has {symbols[dim]} there."
                    )
        shapes: dict[str, Shape] = {}
        for info in self._session.get_outputs():
            name = next(t.name for t in self.outputs if t.onnx_name == info.name)
            shapes[name] = tuple(d if isinstance(d, int) else symbols.get(d, -1) for d in info.shape)
        if any(-1 in s for s in shapes.values()):
            shapes.update(self._infer_by_onnx(given))
        return shapes

    def _infer_by_onnx(self, given: dict[str, Shape]) -> dict[str, Shape]:
        import onnx

        model = onnx.ModelProto()
        model.CopyFrom(self._shape_model())
        by_onnx_name = {t.onnx_name: t.name for t in self.inputs}
        for info in model.graph.input:
            if info.name in by_onnx_name:
                for dim, size in zip(info.type.tensor_type.shape.dim, given[by_onnx_name[info.name]], strict=True):
                    dim.dim_value = size
        for info in model.graph.output:
            for dim in info.type.tensor_type.shape.dim:
                dim.Clear()
        try:
            inferred = onnx.shape_inference.infer_shapes(model, data_prop=True)
        except Exception as error:
            raise ExecutionError(f"shape inference failed: {_short(error)}") from None
        shapes = {}
        for info in inferred.graph.output:
            name = next(t.name for t in self.outputs if t.onnx_name == info.name)
            dims = info.type.tensor_type.shape.dim
            shapes[name] = tuple(d.dim_value if d.HasField("dim_value") else -1 for d in dims)
        return shapes

    def _shape_model(self) -> onnx.ModelProto:
        """The model with its weights turned into inputs: small enough to infer shapes of for every new input shape."""
        if self._skeleton is None:
            import onnx

            model = onnx.load_model_from_string(self.plan.onnx)
            small = [i for i in model.graph.initializer if np.prod(i.dims, dtype=np.int64) <= _SHAPE_DATA_LIMIT]
            known = {i.name for i in model.graph.input}
            for tensor in model.graph.initializer:
                if tensor.name not in known and not any(tensor is s for s in small):
                    model.graph.input.append(
                        onnx.helper.make_tensor_value_info(tensor.name, tensor.data_type, list(tensor.dims))
                    )
            del model.graph.value_info[:]
            kept = [onnx.TensorProto.FromString(s.SerializeToString()) for s in small]
            del model.graph.initializer[:]
            model.graph.initializer.extend(kept)
            self._skeleton = model
        return self._skeleton

    def forget(self, context: int) -> None:
        """Drop what was kept for an execution context."""
        self._bindings.pop(context, None)

    def run(self, context: int, shapes: Mapping[str, Shape], views: Mapping[str, np.ndarray]) -> dict[str, int]:
        """Execute on the bytes in `views` (uint8 arrays of device memory), each tensor with its shape in `shapes`.

        Returns how many bytes of each output's view were written.
        """
        if any(-1 in shapes[t.name] for t in self.outputs):
            return self._run_by_value(shapes, views)
        key = tuple((name, shapes[name], view.ctypes.data) for name, view in views.items())
        cached = self._bindings.get(context)
        if cached is not None and cached[0] == key:
            binding = cached[1]
        else:
            binding = self._session.io_binding()
            for tensor in self.inputs:
                if tensor.onnx_name not in self._unused:
                    binding.bind_input(
                        tensor.onnx_name, "cpu", 0, _dtype(tensor), shapes[tensor.name], views[tensor.name].ctypes.data
                    )
            for tensor in self.outputs:
                binding.bind_output(
                    tensor.onnx_name, "cpu", 0, _dtype(tensor), shapes[tensor.name], views[tensor.name].ctypes.data
                )
            self._bindings[context] = (key, binding)
        try:
            self._session.run_with_iobinding(binding)
        except Exception as error:
            raise ExecutionError(f"the execution failed: {_short(error)}") from None
        return {t.name: len(views[t.name]) for t in self.outputs}

    def infer(self, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """The outputs for host arrays of the inputs' own dtypes and shapes that fit together."""
        feeds = {t.onnx_name: inputs[t.name] for t in self.inputs if t.onnx_name not in self._unused}
        try:
            results = self._session.run([t.onnx_name for t in self.outputs], feeds)
        except Exception as error:
            raise ExecutionError(f"the execution failed: {_short(error)}") from None
        return {t.name: np.asarray(result) for t, result in zip(self.outputs, results, strict=True)}

    def _run_by_value(self, shapes: Mapping[str, Shape], views: Mapping[str, np.ndarray]) -> dict[str, int]:
        results = self.infer({t.name: views[t.name].view(_dtype(t)).reshape(shapes[t.name]) for t in self.inputs})
        written = {}
        for tensor in self.outputs:
            flat = np.ascontiguousarray(results[tensor.name]).reshape(-1).view(np.uint8)
            if len(flat) > len(views[tensor.name]):
                raise ExecutionError(
                    f"output {tensor.name!r} has {len(flat):,} bytes, its buffer {len(views[tensor.name]):,}"
                )
            views[tensor.name][: len(flat)] = flat
            written[tensor.name] = len(flat)
        return written


def _dtype(tensor: TensorSpec) -> Any:
    return np.dtype(DTYPES[tensor.dtype]).type


def _short(error: Exception) -> str:
    return " ".join(str(error).split())[:300]


def _onnxruntime() -> Any:
    try:
        import onnxruntime
    except ImportError:
        raise ExecutionError(
            "ONNX Runtime is not installed, and the simulated device runs on it. Expected: pip install onnxruntime"
        ) from None
    return onnxruntime
