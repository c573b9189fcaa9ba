"""Plan to inference: buffers allocated once, asynchronous copies of what the batch uses, one synchronisation."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping
from types import TracebackType
from typing import Any

import numpy as np

from . import engine as engines


class InputError(ValueError):
    """Inputs that the engine cannot take: which, what was expected, and what to do."""


class TensorRTRunner:
    """Runs an engine on NumPy arrays.

    Entering it creates an execution context, a stream, and for every I/O tensor one pinned and one device buffer at the
    profile's maximum. A call copies only the bytes of its batch, executes, copies the outputs back and synchronises
    once. Nothing is allocated per call. ::

        with TensorRTRunner("distilbert.plan") as runner:
            logits = runner(input_ids=ids, attention_mask=mask)["logits"]

    Args:
        engine: an `ICudaEngine`, or the path of a plan.
        profile: index of the optimization profile.
        view: hand out views of the pinned buffers instead of copies. They are overwritten by the next call.

    Attributes, inside the block:
        context: the `IExecutionContext`.
        stream: the `pycuda.driver.Stream`.
        host, device: buffers by tensor name; `host[name]` is a flat pinned array of the tensor's dtype.

    Raises:
        engine.EngineError: the plan cannot be loaded.
        InputError: from a call, for wrong names, dtypes or shapes.

    One runner serves one thread: an execution context is not safe for two.
    """

    def __init__(self, engine: Any, profile: int = 0, *, view: bool = False) -> None:
        self._source = engine
        self._view = view
        self.profile = profile
        self.engine: Any = None
        self.context: Any = None
        self.stream: Any = None
        self.host: dict[str, np.ndarray] = {}
        self.device: dict[str, Any] = {}
        self._pushed: Any = None

    def __enter__(self) -> TensorRTRunner:
        try:
            self._open()
        except BaseException:
            self.close()
            raise
        return self

    def _open(self) -> None:
        # pycuda and tensorrt are imported here: making a runner touches no GPU
        import pycuda.driver as cuda
        import tensorrt as trt

        self._cuda = cuda
        self._pushed = _push_context(cuda)
        source = self._source
        self.engine = engines.load(source) if isinstance(source, str | os.PathLike) else source
        count = self.engine.num_optimization_profiles
        if not 0 <= self.profile < count:
            raise InputError(f"profile {self.profile} does not exist: the engine has {count}, counted from 0")
        self.context = self.engine.create_execution_context()
        if self.context is None:
            raise engines.EngineError(
                "the execution context could not be created (the log above says why; usually device memory is out). "
                "Close other runners, or build with a smaller profile."
            )
        self.stream = cuda.Stream()
        self.context.set_optimization_profile_async(self.profile, self.stream.handle)
        self._dtypes: dict[str, np.dtype[Any]] = {}
        self._inputs: list[str] = []
        self._outputs: list[str] = []
        for name in self.engine:
            is_input = self.engine.get_tensor_mode(name) == trt.TensorIOMode.INPUT
            (self._inputs if is_input else self._outputs).append(name)
            self._dtypes[name] = np.dtype(trt.nptype(self.engine.get_tensor_dtype(name)))
        self._limits = {
            name: tuple(tuple(shape) for shape in self.engine.get_tensor_profile_shape(name, self.profile))
            for name in self._inputs
        }
        for name in self._inputs:
            self._allocate(name, int(np.prod(self._limits[name][2], dtype=np.int64)))
            self.context.set_input_shape(name, self._limits[name][2])
        for name in self._outputs:  # with every input at its maximum, so is every output
            self._allocate(name, int(np.prod(tuple(self.context.get_tensor_shape(name)), dtype=np.int64)))

    def _allocate(self, name: str, elements: int) -> None:
        self.host[name] = self._cuda.pagelocked_empty(max(elements, 1), self._dtypes[name])
        self.device[name] = self._cuda.mem_alloc(self.host[name].nbytes)
        self.context.set_tensor_address(name, int(self.device[name]))

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Free buffers, context and engine, in that order; safe to call twice."""
        for allocation in self.device.values():
            with contextlib.suppress(self._cuda.Error):  # the device may be what failed; its memory is gone then
                allocation.free()
        self.device, self.host = {}, {}
        self.context = self.stream = self.engine = None
        if self._pushed is not None:
            self._pushed.pop()
            self._pushed = None

    def __call__(self, **inputs: Any) -> dict[str, np.ndarray]:
        """Run one batch.

        Args:
            inputs: one array (NumPy, or a CPU tensor) a name, of exactly the engine's dtype, within the profile.

        Returns:
            One array an output, of the engine's dtype: copies, or views with `view=True`.
        """
        if self.context is None:
            raise InputError("the runner is not open; use it as `with TensorRTRunner(plan) as runner:`")
        arrays = self._check(inputs)
        cuda, stream = self._cuda, self.stream
        for name, array in arrays.items():
            pinned = self.host[name][: array.size]
            np.copyto(pinned.reshape(array.shape), array)
            cuda.memcpy_htod_async(self.device[name], pinned, stream)
        if not self.context.execute_async_v3(stream_handle=stream.handle):
            raise engines.EngineError("TensorRT did not enqueue the execution; its log above says why")
        results = {}
        for name in self._outputs:
            shape = tuple(self.context.get_tensor_shape(name))
            pinned = self.host[name][: int(np.prod(shape, dtype=np.int64))]
            cuda.memcpy_dtoh_async(pinned, self.device[name], stream)
            results[name] = pinned.reshape(shape)
        stream.synchronize()
        return results if self._view else {name: array.copy() for name, array in results.items()}

    def _check(self, inputs: Mapping[str, Any]) -> dict[str, np.ndarray]:
        if set(inputs) != set(self._inputs):
            raise InputError(
                f"the engine has the inputs {', '.join(self._inputs)}; got {', '.join(inputs) or 'none'}. "
                "Inputs are bound by name."
            )
        arrays = {}
        for name in self._inputs:
            array = np.asarray(inputs[name])
            dtype = self._dtypes[name]
            if array.dtype != dtype:
                raise InputError(
                    f"input {name!r} is {array.dtype}, the engine expects {dtype}. Convert it: array.astype(np.{dtype})"
                )
            low, _, high = self._limits[name]
            inside = array.ndim == len(low) and all(a <= d <= b for a, d, b in zip(low, array.shape, high, strict=True))
            if not inside:
                raise InputError(
                    f"input {name!r} has shape {list(array.shape)}, profile {self.profile} allows {list(low)} to "
                    f"{list(high)}. Split the batch, truncate the text, or build with a profile that covers it."
                )
            arrays[name] = array
        for name, array in arrays.items():
            if not self.context.set_input_shape(name, array.shape):
                raise InputError(
                    f"TensorRT refused shape {list(array.shape)} for input {name!r}; its log above says why"
                )
        if self.context.infer_shapes():
            raise InputError(
                "the shapes of the inputs do not fit together: " + str({n: a.shape for n, a in arrays.items()})
            )
        return arrays


def _push_context(cuda: Any) -> Any:
    """Where no context is current in this thread, push PyTorch's (the primary one) and return it, else return None.

    pycuda's own context (`pycuda.autoinit`) would not be shared with PyTorch.
    """
    cuda.init()
    if cuda.Context.get_current() is not None:
        return None
    context = cuda.Device(0).retain_primary_context()
    context.push()
    return context
