"""Runs a plan's ONNX model with ONNX Runtime, on memory that the device gives by address."""

from __future__ import annotations

import math
import re
import threading
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from . import guard
from .plan import DTYPES, Plan, Shape, TensorSpec

if TYPE_CHECKING:
    import onnx

# Initializers above this size carry weights, not shapes: shape inference does without their values.
_SHAPE_DATA_LIMIT = 1024
# ONNX's inference, told to follow values, keeps an object for every element of such a tensor.
_LONGEST_VECTOR = 100_000
_NONE: Mapping[str, bytes] = {}
# Inputs above this size are not made up, just to see the shapes that come out.
_TRIAL_LIMIT = 1 << 30
# Operators of ONNX whose outputs' sizes depend on values. (A loop or branch may too.)
_BY_VALUE = {"NonZero", "NonMaxSuppression", "Compress", "Unique", "Loop", "If", "SplitToSequence", "StringSplit"}


# Seconds after which a model with a loop is stopped; what a GPU calls CUDA_ERROR_LAUNCH_TIMEOUT. Others come to an end.
LOOP_SECONDS = 60.0
_ORT_TYPES = {
    "FLOAT": "tensor(float)",
    "HALF": "tensor(float16)",
    **{name: f"tensor({dtype})" for name, dtype in DTYPES.items() if name not in ("FLOAT", "HALF")},
}


class ExecutionError(RuntimeError):
    """ONNX Runtime could not load or run the model; the text is its own, shortened."""


class Engine:
    """An opened plan: one ONNX Runtime session, its I/O tensors, and the shapes of its outputs.

    Args:
        threads: ONNX Runtime's intra-op threads; 0 leaves the choice to it.
        tried: whether a process that dies of the model is none that matters.

    Raises:
        ExecutionError: ONNX Runtime is not installed or refuses the model, the model would end this process, or it is
            not the one that the plan describes.
    """

    def __init__(self, plan: Plan, threads: int = 0, tried: bool = False) -> None:
        seen = guard.Look(repeats=True) if tried else guard.look(plan.onnx)
        problem = "" if tried else guard.session_trouble(plan, seen)
        if problem:
            raise ExecutionError(f"Internal Error (the plan's model is refused: {problem})")
        self.plan = replace(plan, nvidia=b"")  # only a GPU could use those bytes
        self.inputs = tuple(t for t in plan.tensors if t.mode == "INPUT")
        self.outputs = tuple(t for t in plan.tensors if t.mode == "OUTPUT")
        self._threads = threads
        self._session = self._new_session(["CPUExecutionProvider"])
        self._bindings: dict[int, tuple[Any, Any]] = {}
        self._shapes: dict[tuple[Any, ...], dict[str, Shape]] = {}
        self._skeleton: onnx.ModelProto | None = None
        self._unused = {t.onnx_name for t in self.inputs} - {i.name for i in self._session.get_inputs()}
        self._run_options = _onnxruntime().RunOptions()
        self._repeats = seen.repeats
        self._compare()

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

    def _compare(self) -> None:
        """Raise where the model's inputs and outputs are not the plan's: names, dtypes, numbers of dimensions."""
        there = {"input": self._session.get_inputs(), "output": self._session.get_outputs()}
        for what, tensors in (("input", self.inputs), ("output", self.outputs)):
            ours = {t.onnx_name: t for t in tensors}
            names = [info.name for info in there[what]]
            if len(ours) < len(tensors) or set(names) - set(ours) or (what == "output" and set(ours) - set(names)):
                raise ExecutionError(
                    f"Internal Error (the plan names the model's {what}s {list(ours)}; the model has {names})"
                )
            for info in there[what]:
                tensor = ours[info.name]
                expected = _ORT_TYPES[tensor.dtype]
                known = bool(info.shape) or what == "input"  # an output's shape need not be said
                if info.type != expected or (known and len(info.shape) != len(tensor.shape)):
                    raise ExecutionError(
                        f"Internal Error (the model's {what} {info.name!r} is {info.type} of {len(info.shape)}"
                        f" dimensions; the plan says {expected} of {len(tensor.shape)})"
                    )

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

    def output_shapes(self, given: Mapping[str, Shape], values: Mapping[str, bytes] = _NONE) -> dict[str, Shape]:
        """Shapes of the outputs for shapes of all inputs; -1 for a dimension that depends on values.

        `values` has the bytes of the inputs that are shape tensors.
        """
        key = (*(given[t.name] for t in self.inputs), *values.values())
        if key not in self._shapes:
            self._shapes[key] = self._infer(dict(given), values)
        return self._shapes[key]

    def _arrays(self, given: Mapping[str, Shape], values: Mapping[str, bytes]) -> dict[str, np.ndarray]:
        """Inputs by name: the values that are known, zeros for the rest."""
        return {
            t.name: np.frombuffer(values[t.name], DTYPES[t.dtype]).reshape(given[t.name])
            if t.name in values
            else np.zeros(given[t.name], DTYPES[t.dtype])
            for t in self.inputs
        }

    def _infer(self, given: dict[str, Shape], values: Mapping[str, bytes]) -> dict[str, Shape]:
        # The graph's own dimension names answer most cases; the rest goes through ONNX shape inference.
        symbols: dict[str, int] = {}
        for info in self._session.get_inputs():
            tensor = next(t for t in self.inputs if t.onnx_name == info.name)
            for dim, size in zip(info.shape, given[tensor.name], strict=True):
                if isinstance(dim, str) and symbols.setdefault(dim, size) != size:
                    raise ExecutionError(
                        f"Dimensions with name {dim} must be equal. Input {tensor.name!r} has"
                        f" {list(given[tensor.name])}, another input has {symbols[dim]} there. Condition '==' violated:"
                        f" {size} != {symbols[dim]}."
                    )
        shapes: dict[str, Shape] = {}
        for info in self._session.get_outputs():
            tensor = next(t for t in self.outputs if t.onnx_name == info.name)
            said = info.shape or tensor.shape  # the model need not say it
            shapes[tensor.name] = tuple(d if isinstance(d, int) else symbols.get(d, -1) for d in said)
        if any(-1 in s for s in shapes.values()):
            shapes.update(self._infer_by_onnx(given, values))
        nbytes = sum(math.prod(given[t.name]) * t.itemsize for t in self.inputs)
        known = all(d >= 0 for t in self.inputs for d in given[t.name])
        if known and any(-1 in s for s in shapes.values()) and nbytes < _TRIAL_LIMIT and not self._by_value():
            # shapes that follow from shapes in a way that ONNX's inference does not see: any values show them
            shapes = {name: array.shape for name, array in self.infer(self._arrays(given, values)).items()}
        for tensor in self.outputs:
            shape = shapes[tensor.name]
            if len(shape) != len(tensor.shape) or any(d < -1 for d in shape):
                raise ExecutionError(
                    f"output {tensor.name!r} of the model has shape {list(shape)}; the plan says {list(tensor.shape)}"
                )
        return shapes

    def _by_value(self) -> bool:
        """Whether the model has an operator whose output's size depends on values."""
        todo: list[Any] = [self._shape_model().graph, *self._shape_model().functions]
        while todo:
            for node in todo.pop().node:
                if node.op_type in _BY_VALUE:
                    return True
                for attribute in node.attribute:
                    todo += [g for g in (attribute.g, *attribute.graphs) if g.node]
        return False

    def _infer_by_onnx(self, given: dict[str, Shape], values: Mapping[str, bytes]) -> dict[str, Shape]:
        import onnx

        model = onnx.ModelProto()
        model.CopyFrom(self._shape_model())
        by_onnx_name = {t.onnx_name: t.name for t in self.inputs}
        for info in model.graph.input:
            if info.name in by_onnx_name:
                for dim, size in zip(info.type.tensor_type.shape.dim, given[by_onnx_name[info.name]], strict=True):
                    dim.Clear()
                    if size >= 0:
                        dim.dim_value = size
        for info in model.graph.output:
            for dim in info.type.tensor_type.shape.dim:
                dim.Clear()
        for tensor in self.inputs:
            if tensor.name in values:
                known = np.frombuffer(values[tensor.name], DTYPES[tensor.dtype]).reshape(given[tensor.name])
                model.graph.initializer.append(onnx.numpy_helper.from_array(known, tensor.onnx_name))
        shapes, longest = self._inferred(model, follow_values=False)
        if any(-1 in shape for shape in shapes.values()) and longest <= _LONGEST_VECTOR:
            shapes, _ = self._inferred(model, follow_values=True)
        return shapes

    def _inferred(self, model: onnx.ModelProto, follow_values: bool) -> tuple[dict[str, Shape], int]:
        """Shapes of the outputs as ONNX infers them, and the length of the longest tensor of one dimension."""
        import onnx

        try:
            graph = onnx.shape_inference.infer_shapes(model, data_prop=follow_values).graph
        except Exception as error:
            raise ExecutionError(f"shape inference failed: {_short(error)}") from None
        found = {
            info.name: tuple(d.dim_value if d.HasField("dim_value") else -1 for d in info.type.tensor_type.shape.dim)
            for info in (*graph.input, *graph.value_info, *graph.output)
        }
        longest = max((shape[0] for shape in found.values() if len(shape) == 1), default=0)
        # where it knows nothing it says no dimension
        return {t.name: found.get(t.onnx_name) or (-1,) * len(t.shape) for t in self.outputs}, longest

    def _shape_model(self) -> onnx.ModelProto:
        """The model with its weights turned into inputs: small enough to infer shapes of for every new input shape."""
        if self._skeleton is None:
            import onnx

            model = onnx.load_model_from_string(self.plan.onnx)
            small = [i for i in model.graph.initializer if math.prod(i.dims) <= _SHAPE_DATA_LIMIT]
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
        self._call(self._session.run_with_iobinding, binding)
        return {t.name: len(views[t.name]) for t in self.outputs}

    def _call(self, run: Callable[..., Any], *arguments: Any) -> Any:
        """`run` of the session; one with a loop is stopped after a time, because nobody else could."""
        clock = threading.Timer(LOOP_SECONDS, self._stop) if self._repeats else None
        if clock:
            clock.daemon = True
            self._run_options.terminate = False
            clock.start()
        try:
            return run(*arguments, self._run_options)
        except Exception as error:
            if self._run_options.terminate:
                raise ExecutionError(f"a loop of the model was stopped after {LOOP_SECONDS:g} s") from None
            raise ExecutionError(f"the execution failed: {_short(error)}") from None
        finally:
            if clock:
                clock.cancel()

    def _stop(self) -> None:
        self._run_options.terminate = True

    def infer(self, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """The outputs for host arrays of the inputs' own dtypes and shapes that fit together."""
        feeds = {t.onnx_name: inputs[t.name] for t in self.inputs if t.onnx_name not in self._unused}
        results = self._call(self._session.run, [t.onnx_name for t in self.outputs], feeds)
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


# ONNX Runtime on two inputs of an elementwise operator whose shapes disagree
_BROADCAST = re.compile(r"Name:'(?P<node>[^']*)'.*by a dimension other than 1\. (?P<one>\d+) by (?P<other>\d+)")


def _short(error: Exception) -> str:
    """What ONNX Runtime says, shortened; with TensorRT's words in front where it has some."""
    text = " ".join(str(error).split())
    found = _BROADCAST.search(text)
    words = (
        f"{found['node']}: dimensions not compatible for elementwise. Condition '==' violated: {found['one']} !="
        f" {found['other']}. "
        if found
        else ""
    )
    return f"{words}{text[:300]}"


def _onnxruntime() -> Any:
    try:
        import onnxruntime
    except ImportError:
        raise ExecutionError(
            "ONNX Runtime is not installed, and the simulated device runs on it. Expected: pip install onnxruntime"
        ) from None
    return onnxruntime
