"""Run cases: shapes, profiles, and inputs whose values are shapes."""

from __future__ import annotations

from typing import Any

import numpy as np

from .case import Ground
from .run_kit import BINDINGS, HEADER, Bench, Table, attempt, kind, load, rows, text

case = Table()

SATISFY = "condition: satisfyProfile. Set dimension {} for tensor x does not satisfy any optimization profiles."
RANGE = "github.com/NVIDIA/TensorRT-LLM issue 1332 (satisfyProfile); TensorRT 10 adds the range"
MISMATCH = "github.com/jamjamjon/usls issue 212, TensorRT 10: condition engineDims.d[i] == dims.d[i]"
NAME = "github.com/dusty-nv/jetson-containers issue 904, TensorRT 10"


# --- one profile ---


@case("shape-in-profile", "(True, True, True)", source=HEADER + "IExecutionContext::setInputShape")
def _(g: Ground) -> Any:
    """set_input_shape takes the profile's minimum, optimum and maximum."""
    context = load(g, "add").create_execution_context()
    return text(tuple(context.set_input_shape("x", (batch, 8)) for batch in (1, 2, 4)))


@case("shape-as-tuple-list-dims", "(True, True, True)", source=BINDINGS + "set_input_shape (tuple, list, Dims)")
def _(g: Ground) -> Any:
    """set_input_shape takes a tuple, a list or Dims."""
    context = load(g, "add").create_execution_context()
    return text(tuple(context.set_input_shape("x", shape) for shape in ((2, 8), [2, 8], g.trt.Dims([2, 8]))))


@case("shape-above-profile", "False", SATISFY.format("[5,8]"), source=RANGE)
def _(g: Ground) -> Any:
    """A batch above the profile's maximum is refused."""
    return text(load(g, "add").create_execution_context().set_input_shape("x", (5, 8)))


@case("shape-below-profile", "False", "Valid range for profile 0: [1,8]..[4,8].", source=RANGE)
def _(g: Ground) -> Any:
    """A batch below the profile's minimum is refused, and the log tells the range."""
    return text(load(g, "add").create_execution_context().set_input_shape("x", (0, 8)))


@case("shape-wrong-rank", "False", "nbDims", source="github.com/NVIDIA/TensorRT issue 588 (engineDims.nbDims == ...)")
def _(g: Ground) -> Any:
    """A shape with another number of dimensions is refused."""
    return text(load(g, "add").create_execution_context().set_input_shape("x", (2,)))


@case("shape-static-dimension", "False", "Static dimension mismatch while setting input shape for x.", source=MISMATCH)
def _(g: Ground) -> Any:
    """A dimension that the network fixed cannot be set to something else, even where another one is dynamic."""
    return text(load(g, "add").create_execution_context().set_input_shape("x", (2, 9)))


@case("shape-static-input", "False", "Set dimensions are [3,8]. Expected dimensions are [2,8].", source=MISMATCH)
def _(g: Ground) -> Any:
    """A static input takes no other shape."""
    return text(load(g, "static").create_execution_context().set_input_shape("x", (3, 8)))


@case("shape-static-input-own", "True", source=HEADER + "IExecutionContext::setInputShape")
def _(g: Ground) -> Any:
    """A static input may be told its own shape."""
    return text(load(g, "static").create_execution_context().set_input_shape("x", (2, 8)))


@case(
    "static-input-needs-no-shape", "(True, [[1.0, 8.0], [9.0, 16.0]])", source=HEADER + "IExecutionContext::inferShapes"
)
def _(g: Ground) -> Any:
    """An engine without dynamic dimensions executes without set_input_shape."""
    bench = Bench(g, "static")
    bench.device["x"] = g.cuda.to_device(rows(2))
    bench.context.set_tensor_address("x", int(bench.device["x"]))
    bench.room("y", 64)
    done = bench.run()
    return text((done, bench.result((2, 8))[:, [0, 7]].tolist()))


@case("shape-of-an-output", "False", source=HEADER + "IExecutionContext::setInputShape: false for what is no input")
def _(g: Ground) -> Any:
    """An output's shape cannot be set."""
    return text(load(g, "add").create_execution_context().set_input_shape("y", (2, 8)))


@case(
    "shape-wrong-name",
    "False",
    "Given invalid tensor name: ids. Get valid tensor names with getIOTensorName()",
    source=NAME,
)
def _(g: Ground) -> Any:
    """set_input_shape of a name that the engine does not have."""
    return text(load(g, "add").create_execution_context().set_input_shape("ids", (2, 8)))


@case("shapes-before-they-are-set", "((-1, 8), (-1, 8))", source=HEADER + "IExecutionContext::getTensorShape")
def _(g: Ground) -> Any:
    """Dynamic dimensions are -1 until they are set, of the input and of the output."""
    context = load(g, "add").create_execution_context()
    return text((context.get_tensor_shape("x"), context.get_tensor_shape("y")))


@case("shapes-after-they-are-set", "((3, 8), (3, 8))", source=HEADER + "IExecutionContext::getTensorShape")
def _(g: Ground) -> Any:
    """The context infers the output's shape; the engine's stays dynamic."""
    context = load(g, "add").create_execution_context()
    context.set_input_shape("x", (3, 8))
    return text((context.get_tensor_shape("x"), context.get_tensor_shape("y")))


@case(
    "shape-fixed-by-the-profile",
    "(3, 8)",
    source=HEADER + "IExecutionContext::getTensorShape: equal min and max constrain a dimension to one value",
)
def _(g: Ground) -> Any:
    """A dimension whose profile has min == max is known before set_input_shape."""
    return text(load(g, "fixed").create_execution_context().get_tensor_shape("x"))


@case(
    "context-shape-of-a-wrong-name",
    "RuntimeError",
    "Given invalid tensor name: ids",
    source=BINDINGS + "IExecutionContext.get_tensor_shape throws for Dims of rank -1; text: " + NAME,
)
def _(g: Ground) -> Any:
    """get_tensor_shape of a context raises for a name that the engine does not have."""
    return kind(load(g, "add").create_execution_context().get_tensor_shape, "ids")


@case("strides", "(8, 1)", source=HEADER + "IExecutionContext::getTensorStrides: in elements")
def _(g: Ground) -> Any:
    """Strides count elements."""
    context = load(g, "add").create_execution_context()
    context.set_input_shape("x", (3, 8))
    return text(context.get_tensor_strides("x"))


@case(
    "strides-before-shapes",
    "RuntimeError: Could not get strides for tensor 'x'. Check that the tensor name is correct and that all dynamic"
    " input shapes have been set.",
    source=BINDINGS + "IExecutionContext.get_tensor_strides",
)
def _(g: Ground) -> Any:
    """get_tensor_strides raises while dynamic dimensions are not set."""
    return attempt(load(g, "add").create_execution_context().get_tensor_strides, "x")


@case("max-output-size-before-shapes", "-1", source=HEADER + "IExecutionContext::getMaxOutputSize")
def _(g: Ground) -> Any:
    """get_max_output_size is -1 while input shapes are not set."""
    return text(load(g, "add").create_execution_context().get_max_output_size("y"))


@case("max-output-size", "(True, -1)", source=HEADER + "IExecutionContext::getMaxOutputSize: an upper bound in bytes")
def _(g: Ground) -> Any:
    """With shapes set it is at least what the output takes; -1 for what is no output."""
    context = load(g, "add").create_execution_context()
    context.set_input_shape("x", (3, 8))
    return text((context.get_max_output_size("y") >= 3 * 8 * 4, context.get_max_output_size("x")))


@case("infer-shapes-names-what-lacks", "([a, b], [b], [])", source=HEADER + "IExecutionContext::inferShapes")
def _(g: Ground) -> Any:
    """infer_shapes lists the inputs that lack a shape."""
    context = load(g, "pair").create_execution_context()
    seen = [sorted(context.infer_shapes())]
    for name in ("a", "b"):
        context.set_input_shape(name, (2, 8))
        seen.append(sorted(context.infer_shapes()))
    return text(tuple(seen))


@case(
    "infer-shapes-that-disagree",
    "RuntimeError: infer_shapes error code: -1",
    "dimensions not compatible for elementwise",
    source=BINDINGS + "infer_shapes; text: github.com/NVIDIA/TensorRT issue 3309",
)
def _(g: Ground) -> Any:
    """infer_shapes raises where each shape is in its profile, but they do not fit each other."""
    context = load(g, "pair").create_execution_context()
    context.set_input_shape("a", (2, 8))
    context.set_input_shape("b", (3, 8))
    return attempt(context.infer_shapes)


@case(
    "execute-shapes-that-disagree",
    "False",
    "dimensions not compatible for elementwise",
    source="github.com/NVIDIA/TensorRT issue 3309",
)
def _(g: Ground) -> Any:
    """Execution with shapes that do not fit each other is refused."""
    bench = Bench(g, "pair")
    bench.give("a", rows(2))
    bench.give("b", rows(3))
    bench.room("y", 96)
    return text(bench.run())


@case(
    "execute-without-shape",
    "False",
    "condition: inputDimensionSpecified && inputShapesSpecified. Not all shapes are specified. Following input tensors'"
    " dimensions are not specified: x.",
    source="TensorRT 10 log in public reports (condition: inputDimensionSpecified && inputShapesSpecified); "
    + HEADER
    + "setInputShape",
)
def _(g: Ground) -> Any:
    """Execution is refused while a dynamic input has no shape."""
    bench = Bench(g)
    for name in ("x", "y"):
        bench.room(name, 64)
    return text(bench.run())


@case("execute-every-batch", "[4.0, 4.0, 4.0, 4.0]", source="developer guide, dynamic shapes")
def _(g: Ground) -> Any:
    """One context serves each batch of its profile, one after the other."""
    bench, last = Bench(g), []
    bench.room("y", 4 * 8 * 4)
    for batch in (1, 4, 2, 3):
        bench.give("x", np.full((batch, 8), 3, np.float32))
        bench.run()
        last.append(bench.result((batch, 8))[-1, -1].item())
    return text(last)


# --- two profiles ---


@case("profiles-count-and-default", "(2, 0)", source=HEADER + "createExecutionContext: profile 0 is assigned")
def _(g: Ground) -> Any:
    """A new context has profile 0."""
    engine = load(g, "two")
    return text((engine.num_optimization_profiles, engine.create_execution_context().active_optimization_profile))


@case("profile-range-of-the-other", "False", "Valid range for profile 0: [1,8]..[4,8].", source=RANGE)
def _(g: Ground) -> Any:
    """A shape of the other profile is refused until the context switches to it."""
    return text(load(g, "two").create_execution_context().set_input_shape("x", (16, 8)))


@case(
    "profile-switch",
    "(True, 1, True, False)",
    "Valid range for profile 1: [8,8]..[32,8].",
    source=HEADER + "IExecutionContext::setOptimizationProfileAsync",
)
def _(g: Ground) -> Any:
    """After a switch the other profile's range counts."""
    bench = Bench(g, "two")
    context = bench.context
    switched = context.set_optimization_profile_async(1, bench.stream.handle)
    inside, outside = (context.set_input_shape("x", (batch, 8)) for batch in (32, 4))
    return text((switched, context.active_optimization_profile, inside, outside))


@case(
    "profile-switch-forgets-shapes",
    "([], [x])",
    source="Python API, IExecutionContext.active_optimization_profile: invalidates all dynamic bindings",
)
def _(g: Ground) -> Any:
    """A switch forgets the shapes that were set."""
    bench = Bench(g, "two")
    bench.context.set_input_shape("x", (2, 8))
    before = bench.context.infer_shapes()
    bench.context.set_optimization_profile_async(1, bench.stream.handle)
    return text((before, bench.context.infer_shapes()))


@case(
    "profile-switch-result",
    "(28.0, 28.0)",
    source=HEADER + "IExecutionContext::setOptimizationProfileAsync: used in subsequent calls",
)
def _(g: Ground) -> Any:
    """Both profiles compute the same."""
    bench, seen = Bench(g, "two"), []
    bench.room("y", 32 * 4 * 4)
    for profile, batch in ((0, 4), (1, 32)):
        bench.context.set_optimization_profile_async(profile, bench.stream.handle)
        bench.stream.synchronize()
        bench.give("x", np.tile(np.arange(8, dtype=np.float32), (batch, 1)))
        bench.run()
        seen.append(bench.result((batch, 4))[-1, -1].item())
    return text(tuple(seen))


@case(
    "profile-index-out-of-range",
    "RuntimeError: Error in set optimization profile async.",
    "setOptimizationProfileAsync",
    source=BINDINGS + "set_optimization_profile_async; github.com/NVIDIA/TensorRT issue 3202",
)
def _(g: Ground) -> Any:
    """set_optimization_profile_async raises for an index that the engine does not have."""
    bench = Bench(g, "two")
    return attempt(bench.context.set_optimization_profile_async, 2, bench.stream.handle)


@case("contexts-with-a-profile-each", "(28.0, 28.0)", source=HEADER + "IExecutionContext; TensorRT issue 2648")
def _(g: Ground) -> Any:
    """Two contexts of one engine, a profile each, execute in turns without disturbing each other."""
    engine = load(g, "two")
    benches = [Bench(g, engine=engine) for _ in range(2)]
    x = np.arange(8, dtype=np.float32)
    for profile, (bench, batch) in enumerate(zip(benches, (4, 32), strict=True)):
        bench.context.set_optimization_profile_async(profile, bench.stream.handle)
        bench.stream.synchronize()
        bench.give("x", np.tile(x, (batch, 1)))
        bench.room("y", batch * 16)
    for _ in range(2):
        for bench in benches:
            bench.context.execute_async_v3(bench.stream.handle)
    for bench in benches:
        bench.stream.synchronize()
    return text((benches[0].result((4, 4))[-1, -1].item(), benches[1].result((32, 4))[-1, -1].item()))


# --- values that are shapes ---


@case("shape-input-is-told", "(True, False, HOST, DEVICE)", source=HEADER + "isShapeInferenceIO, getTensorLocation")
def _(g: Ground) -> Any:
    """An input whose values are a shape is read on the host."""
    engine = load(g, "expand")
    return text(
        (
            engine.is_shape_inference_io("to"),
            engine.is_shape_inference_io("x"),
            engine.get_tensor_location("to"),
            engine.get_tensor_location("x"),
        )
    )


@case("shape-input-lacks-its-address", "([to], [])", source=HEADER + "IExecutionContext::inferShapes")
def _(g: Ground) -> Any:
    """A shape input is insufficiently specified until its address is set."""
    context = load(g, "expand").create_execution_context()
    before = context.infer_shapes()
    values = np.array([2, 5])
    context.set_tensor_address("to", values.ctypes.data)
    return text((before, context.infer_shapes()))


@case("shape-input-decides-the-shape", "((-1, -1), (2, 5))", source=HEADER + "IExecutionContext::getTensorShape")
def _(g: Ground) -> Any:
    """The output's shape is known when the values are."""
    context = load(g, "expand").create_execution_context()
    before = context.get_tensor_shape("y")
    values = np.array([2, 5])
    context.set_tensor_address("to", values.ctypes.data)
    return text((before, context.get_tensor_shape("y")))


@case(
    "shape-input-is-read-at-execution",
    "(True, (3, 4), 12.0)",
    source=HEADER + "setTensorAddress: shape values are not copied until enqueueV3",
)
def _(g: Ground) -> Any:
    """Values written into the host buffer after set_tensor_address count at the next execution."""
    bench = Bench(g, "expand")
    values = np.array([2, 5])
    bench.context.set_tensor_address("to", values.ctypes.data)
    bench.device["x"] = g.cuda.to_device(np.ones((1, 1), np.float32))
    bench.context.set_tensor_address("x", int(bench.device["x"]))
    bench.room("y", 4 * 8 * 4)
    values[:] = 3, 4
    done = bench.run()
    return text((done, bench.context.get_tensor_shape("y"), bench.result((4, 8)).sum().item()))


@case("shape-input-profile-values", "[[1, 1], [2, 3], [4, 8]]", source=BINDINGS + "get_tensor_profile_values")
def _(g: Ground) -> Any:
    """The engine tells a shape input's minimum, optimum and maximum values."""
    return text(load(g, "expand").get_tensor_profile_values(0, "to"))


@case(
    "profile-values-of-a-plain-input",
    "RuntimeError: Binding index does not correspond to an input shape tensor.",
    source=BINDINGS + "get_tensor_profile_values",
)
def _(g: Ground) -> Any:
    """get_tensor_profile_values raises for what is no shape input."""
    return attempt(load(g, "add").get_tensor_profile_values, 0, "x")


# --- what is empty ---


@case(
    "empty-batch",
    "(True, (0, 8), True)",
    source="developer guide, empty tensors: a dimension of length zero is allowed where the profile allows it",
)
def _(g: Ground) -> Any:
    """A batch of none, in a profile that begins at 0, executes."""
    bench = Bench(g, "empty")
    given = bench.context.set_input_shape("x", (0, 8))
    for name in ("x", "y"):
        bench.room(name, 64)
    return text((given, bench.context.get_tensor_shape("y"), bench.run()))


@case("empty-batch-then-full", "(True, [1.0, 16.0])", source="developer guide, empty tensors")
def _(g: Ground) -> Any:
    """After an empty batch the same context executes a full one."""
    bench = Bench(g, "empty")
    bench.context.set_input_shape("x", (0, 8))
    for name in ("x", "y"):
        bench.room(name, 64)
    bench.run()
    bench.give("x", rows(2))
    return text((bench.run(), bench.result((16,))[[0, -1]].tolist()))


@case(
    "shape-input-beyond-its-profile",
    "False",
    source=HEADER + "IOptimizationProfile::setShapeValuesV2: values must lie between min and max",
)
def _(g: Ground) -> Any:
    """Values of a shape input outside its profile make the execution fail."""
    bench = Bench(g, "expand")
    values = np.array([4, 9])
    bench.context.set_tensor_address("to", values.ctypes.data)
    bench.device["x"] = g.cuda.to_device(np.ones((1, 1), np.float32))
    bench.context.set_tensor_address("x", int(bench.device["x"]))
    bench.room("y", 4 * 9 * 4)
    return text(bench.run())


@case(
    "shape-input-address-needed",
    "False",
    "to",
    source=HEADER + "setTensorAddress: each input must have a non-null address",
)
def _(g: Ground) -> Any:
    """A shape input without an address: the execution is refused, and the log names it."""
    bench = Bench(g, "expand")
    bench.device["x"] = g.cuda.to_device(np.ones((1, 1), np.float32))
    bench.context.set_tensor_address("x", int(bench.device["x"]))
    bench.room("y", 128)
    return text(bench.run())


CASES = case.cases
