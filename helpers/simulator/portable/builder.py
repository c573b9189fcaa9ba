"""The builder: the same verdicts and words as NVIDIA's, and a plan that the simulated runtime runs."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from onnx import TensorProto

from ..plan import DTYPES, Plan, SerializedPlan, TensorSpec
from . import memory
from .config import BuilderFlag, ComputeCapability, IBuilderConfig, IOptimizationProfile, Triple, settings
from .enums import ENUMS, Severity
from .model import SPOKEN, TYPES
from .network import INetworkDefinition, IPluginRegistry, ITensor
from .objects import Native
from .parser import Parsed
from .shapes import SHAPE_OPERANDS, Fact, label
from .types import ILogger, check_logger, incompatible, index

_ENDS = ("MIN", "OPT", "MAX")
_UNKNOWN = Fact(0, None)


class _NoPlan(Exception):
    """The build ends without a plan; the text is logged as an error."""


def _usage(text: str, code: int = 4) -> _NoPlan:
    return _NoPlan(f"IBuilder::buildSerializedNetwork: Error Code {code}: API Usage Error ({text})")


def _internal(text: str, code: int = 4) -> _NoPlan:
    return _NoPlan(f"IBuilder::buildSerializedNetwork: Error Code {code}: Internal Error ({text})")


def _myelin(text: str) -> _NoPlan:
    return _NoPlan(f"IBuilder::buildSerializedNetwork: Error Code 1: Myelin ({text})")


class Builder(Native):
    """`tensorrt.Builder`."""

    def __init__(self, logger: ILogger) -> None:
        check_logger(logger)
        self._logger = logger
        self._networks = 0
        self.reset()

    def _log(self, severity: Any, text: str) -> None:
        """A line to the logger; an error to the error recorder instead, where there is one."""
        if self._recorder is not None and severity == Severity.ERROR:
            code = re.search(r"Error Code (\d+)", text)
            self._recorder.report_error(ENUMS["ErrorCodeTRT"](int(code[1]) if code else 1), text)
        else:
            self._logger.log(severity, text)

    logger = property(lambda self: self._logger)
    max_DLA_batch_size = property(lambda self: 1 << 28)
    num_DLA_cores = property(lambda self: 0)

    @property
    def max_threads(self) -> int:
        return self._threads

    @max_threads.setter
    def max_threads(self, value: int) -> None:
        self._threads = index(value, "max_threads: int")

    error_recorder = property(lambda self: self._recorder, lambda self, value: setattr(self, "_recorder", value))
    gpu_allocator = property(None, lambda self, value: None)

    def reset(self) -> None:
        self._threads = 1
        self._recorder: Any = None

    def get_plugin_registry(self) -> IPluginRegistry:
        return IPluginRegistry()

    def create_network(self, flags: int = 0) -> INetworkDefinition | None:
        """A network; None, and an ERROR line, for flags that TensorRT does not have."""
        value = index(flags, "create_network(self, flags: int = 0) -> tensorrt.INetworkDefinition")
        if value < 0:
            raise incompatible("create_network(self, flags: int = 0) -> tensorrt.INetworkDefinition", flags)
        if value > 1:
            self._log(
                Severity.ERROR,
                "IBuilder::createNetworkV2: Error Code 3: API Usage Error (Parameter check failed, condition:"
                " flagSet.toU32() < (1U << EnumMax<NetworkDefinitionCreationFlag>()).)",
            )
            return None
        network = INetworkDefinition(self, f"Unnamed Network {self._networks}", 1)  # always strongly typed
        self._networks += 1
        return network

    def create_builder_config(self) -> IBuilderConfig:
        return IBuilderConfig(self._log)

    def create_optimization_profile(self) -> IOptimizationProfile:
        return IOptimizationProfile(self._log)

    def is_network_supported(self, network: INetworkDefinition, config: IBuilderConfig) -> bool:
        """Whether the network could be built, as far as it can be said before the build."""
        try:
            _validate(network, config)
        except _NoPlan as refusal:
            self._log(Severity.ERROR, str(refusal).replace("buildSerializedNetwork", "isNetworkSupported"))
            return False
        return True

    def build_serialized_network(self, network: INetworkDefinition, config: IBuilderConfig) -> SerializedPlan | None:
        """A plan; None, and ERROR lines, where NVIDIA's builder refuses, or the simulated runtime could not run it."""
        if not isinstance(network, INetworkDefinition) or not isinstance(config, IBuilderConfig):
            raise incompatible(
                "build_serialized_network(self, network: tensorrt.INetworkDefinition, config: tensorrt.IBuilderConfig)"
                " -> tensorrt.IHostMemory",
                network,
                config,
            )
        try:
            return self._build(network, config)
        except _NoPlan as refusal:
            self._log(Severity.ERROR, str(refusal))
            return None
        except Exception:  # of many types: what ONNX's functions and NumPy meet in a malformed model
            parsed = network._parsed
            if parsed is None or not parsed.flaw:
                raise
            self._log(Severity.ERROR, f"[simulator] the model is malformed: {parsed.flaw}")
            return None

    def build_serialized_network_to_stream(
        self, network: INetworkDefinition, config: IBuilderConfig, writer: Any
    ) -> bool:
        """As `build_serialized_network`; the plan goes to `writer.write(bytes) -> int`. False where anything failed."""
        plan = self.build_serialized_network(network, config)
        if plan is None:
            return False
        return bool(writer.write(bytes(plan)) == len(plan))

    def _build(self, network: INetworkDefinition, config: IBuilderConfig) -> SerializedPlan:
        started = time.perf_counter()
        for tensor in network._inputs:
            if any(tensor.name in p._shapes and _moves(p._shapes[tensor.name]) for p in config._profiles):
                self._log(Severity.INFO, f"In input ({tensor.name}), minShape is not the same as maxShape.")
                break
        used = {id(t) for layer in network._layers for t in layer._inputs}
        unused = [t.name for t in network._inputs if id(t) not in used and network._outputs]
        for name in unused:
            self._log(Severity.WARNING, f"Unused Input: {name}")
        _validate(network, config)
        _check_targets(config)
        with _Phase(config.progress_monitor, "Building engine", None, 6) as building:
            building.step()
            parsed = _own(network)
            tensors = _tensors(parsed)
            building.step()
            for name in unused:
                self._log(
                    Severity.WARNING,
                    f"[RemoveDeadLayers] Input Tensor {name} is unused or used only at compile-time, but is not being"
                    " removed.",
                )
            profiles = [_ends(network, profile) for profile in config._profiles] or [[_static(network)] * 3]
            for i, ends in enumerate(profiles):
                self._check_shapes(network, parsed, i, ends, building)
            building.step()
            self._log(
                Severity.INFO,
                f"Detected {network.num_inputs} inputs and {network.num_outputs} output network tensors.",
            )
            _check_capability(config, parsed)
            activations, layers = [], list[str]()
            with building.phase("Building engine from subgraph", len(profiles)) as graph:
                for ends in profiles:
                    needed, lines = self._compile(parsed, config, _by_graph(parsed, ends[2]))
                    activations.append(needed)
                    layers += lines
                    graph.step()
            building.step()
            weights = _weight_bytes(parsed)
            self._log(Severity.INFO, f"Total Weights Memory: {weights} bytes")
            if config.get_flag(BuilderFlag.VERSION_COMPATIBLE):
                library = "libnvinfer_lean.so.1"
                missing = f"{library}: cannot open shared object file: No such file or directory"
                raise _usage(f"Unable to load library: {library}: {missing}", 6)
            building.step()
            detailed = config.profiling_verbosity == ENUMS["ProfilingVerbosity"].DETAILED
            if not detailed:
                layers = [_whole(parsed)] * len(profiles)
            title = "Layers:" if detailed else "Engine Layer Information:"
            self._log(Severity.VERBOSE, "\n".join((title, *layers)))
            took = time.perf_counter() - started
            self._log(Severity.INFO, f"Engine generation completed in {took:.6g} seconds.")
            plan = Plan(
                version=_version(),
                flavor="tensorrt_rtx",
                builder="python",
                name=network.name,
                tensors=tensors,
                profiles=tuple(_dynamic(network, profile) for profile in config._profiles) or ({},),
                shape_values=tuple(_values(network, profile) for profile in config._profiles) or ({},),
                settings=settings(config),
                activation_bytes=tuple(activations),
                weight_bytes=weights,
                layers=len(layers),
                layer_info=tuple(layers),
                nvidia=b"",
                onnx=parsed.onnx,
            ).serialize()
            plan.nbytes = len(plan)  # there is no other plan inside
            building.step()
        return plan

    def _check_shapes(
        self, network: INetworkDefinition, parsed: Parsed, i: int, ends: list[_Inputs], phase: _Phase
    ) -> None:
        """The graph's shapes at opt must fit; at max and min, TensorRT only warns."""
        names: dict[str, int] = {}
        for tensor in network._inputs:
            for axis, name in sorted(tensor._dimension_names.items()):
                size = ends[1].shapes[tensor.name][axis]
                if names.setdefault(name, size) != size:
                    raise _internal(
                        f"Profile kOPT values are not self-consistent. Dimensions with name {name} must be equal."
                        f" Condition '==' violated: {names[name]} != {size}. Instruction: CHECK_EQUAL {names[name]}"
                        f" {size}."
                    )
        with phase.phase("Computing profile costs", 3) as costs:
            for end in (1, 2, 0):
                inputs = _by_graph(parsed, ends[end])
                _, violations = parsed.walk.run(inputs.shapes, inputs.values)
                for found in violations[:1]:
                    if end == 1:
                        raise _internal(f"kOPT values for profile {i} violate shape constraints: {found.text}")
                    if found.at_ends:
                        self._log(
                            Severity.WARNING,
                            f"Profile k{_ENDS[end]} values are not self-consistent. {found.text} Instruction:"
                            f" {found.instruction}",
                        )
                costs.step()

    def _compile(self, parsed: Parsed, config: IBuilderConfig, inputs: _Inputs) -> tuple[int, list[str]]:
        """Bytes of activations at a profile's maximum, and a line a kernel."""
        facts, _ = parsed.walk.run(inputs.shapes, inputs.values)
        graph = parsed.light.graph
        outputs = [name for _, name in parsed.outputs]
        made = memory.kernels(graph.node, facts, outputs, _constants(parsed))
        _check_kernels(made, graph.node, facts, config)
        needed = memory.activation_bytes(made, facts, {name for _, name, _ in parsed.inputs} | set(outputs))
        if needed > config._pools["WORKSPACE"]:
            raise _NoPlan(f"Error Code 2: OutOfMemory (Requested size was {needed} bytes.)")
        self._log(Severity.INFO, f"Max Scratch Memory: {needed} bytes")
        self._log(Severity.INFO, f"Total Activation Memory: {needed} bytes")
        return needed, [_line(parsed, kernel, place) for place, kernel in enumerate(made)]


class _Phase:
    """A phase of a progress monitor: steps are told, and a step that answers False ends the build."""

    def __init__(self, monitor: Any, name: str, parent: str | None, steps: int) -> None:
        self._monitor, self._name, self._parent, self._steps = monitor, name, parent, steps
        self._done = 0

    def __enter__(self) -> _Phase:
        if self._monitor is not None:
            self._monitor.phase_start(self._name, self._parent, self._steps)
        return self

    def __exit__(self, *_: object) -> None:
        if self._monitor is not None:
            self._monitor.phase_finish(self._name)

    def step(self) -> None:
        if self._monitor is not None and not self._monitor.step_complete(self._name, self._done):
            raise _NoPlan("IBuilder::buildSerializedNetwork: Error Code 7: BuildCanceled (Build canceled by user)")
        self._done += 1

    @contextmanager
    def phase(self, name: str, steps: int) -> Iterator[_Phase]:
        with _Phase(self._monitor, name, self._name, steps) as inner:
            yield inner


# --- checks before the build ------------------------------------------------------------------------------------------


def _moves(shapes: Any) -> bool:
    return bool(shapes[0] != shapes[2])


def _validate(network: INetworkDefinition, config: IBuilderConfig) -> None:
    """What can be said of network and profiles without the graph."""
    if not network._outputs:
        raise _usage("Network must have at least one output.")
    if any(-1 in t._shape or t.is_shape_tensor for t in network._inputs) and not config._profiles:
        raise _usage("Network has dynamic or shape inputs, but no optimization profile has been defined.")
    for i, profile in enumerate(config._profiles):
        for tensor in network._inputs:
            _validate_input(tensor, i, profile._shapes.get(tensor.name))
            if tensor.is_shape_tensor and tensor.name not in profile._values:
                raise _usage(f"Optimization profile {i} is missing values for shape input tensor {tensor.name}.")


def _validate_input(tensor: ITensor, i: int, given: Any) -> None:
    shape, name = tensor._shape, tensor.name
    if -1 not in shape:
        for end, dims in zip(_ENDS, given or (), strict=False):
            if dims != shape:
                raise _usage(
                    f"Input tensor {name} has static dimensions that don't match k{end} dimensions in profile index"
                    f" {i}. Input dimensions are {_joined(shape)} but profile dimensions are {_joined(dims)}."
                )
        return
    if given is None:
        raise _usage(f"Dynamic input tensor {name} is missing dimensions in profile {i}.")
    if len(given[0]) != len(shape):
        raise _usage(
            f"Dynamic-shaped input tensor {name} has {len(shape)} dimensions but profile {i} has {len(given[0])}"
            " dimensions."
        )
    for axis, size in enumerate(shape):
        low, best, high = (dims[axis] for dims in given)
        if size != -1 and not low == best == high == size:
            raise _usage(
                f"Dimension mismatch for tensor {name} and profile {i}. At dimension axis {axis}, profile has"
                f" min={low}, opt={best}, max={high} but tensor has {size}."
            )


def _joined(dims: tuple[int, ...]) -> str:
    return f"[{','.join(map(str, dims))}]"


def _check_targets(config: IBuilderConfig) -> None:
    if None in config._capabilities:
        raise _NoPlan("Unexpected exception bad optional access")
    if ComputeCapability.CURRENT in config._capabilities:
        raise _usage("ComputeCapability.CURRENT needs a GPU, and there is none (cudaError 35).", 1)


def _check_capability(config: IBuilderConfig, parsed: Parsed) -> None:
    """Engine capabilities that need a DLA or a safety runtime, and a workspace of nothing."""
    kind = ENUMS["EngineCapability"]
    if config.engine_capability == kind.DLA_STANDALONE:
        raise _internal("Applying DLA optimizations without DLA backend.", 1)
    if config.engine_capability == kind.SAFETY:
        nodes = parsed.light.graph.node
        node = f"{{ForeignNode[{label(nodes[0])}...{label(nodes[-1])}]}}" if nodes else ""
        raise _internal(f"Could not find any implementation for node {node}.", 10)
    if config._pools["WORKSPACE"] <= 0:
        raise _NoPlan(
            "Error Code 2: Internal Error (Assertion mContext.maxScratchSize > 0 failed. Compiling this graph requires"
            " workspace memory greater than 0. Please increase the workspace memory provided to the builder.)"
        )


def _check_kernels(
    made: list[memory.Kernel], nodes: Sequence[Any], facts: Mapping[str, Fact], config: IBuilderConfig
) -> None:
    """What no kernel can be found for."""
    products = [nodes[i] for kernel in made for i in kernel.nodes if nodes[i].op_type in memory.PRODUCTS]
    for node in products:
        if node.op_type == "Attention":
            raise _myelin(
                "MyelinCheckException: CHECK(composite_op->is_decomposable()) failed. Attention operation was not"
                " supported by a dedicated kernel."
            )
        single = facts.get(node.input[0], _UNKNOWN).kind == TensorProto.FLOAT
        if single and ComputeCapability.SM75 in config._capabilities:
            raise _myelin(
                f"check_turing_op_compatibility: Cannot compile operation '{label(node)}' for Turing (SM75): FP32 GEMM"
                " is not supported."
            )
    if any(config.get_flag(getattr(BuilderFlag, name)) for name in ("REFIT", "REFIT_IDENTICAL", "STRIP_PLAN")):
        raise _myelin("MyelinCheckException: graph_jit.cpp: CHECK(status == CUDA_SUCCESS) failed.")
    if products and config._pools["WORKSPACE"] < memory.SCRATCH:
        raise _myelin(
            "Tactic Selection: no tactics to implement the operation within workspace limit. Consider increase the"
            " allowed workspace size if applicable."
        )


# --- what was parsed, and what is built of it -------------------------------------------------------------------------


def _own(network: INetworkDefinition) -> Parsed:
    """What was parsed, where the network still is that."""
    parsed: Parsed | None = network._parsed
    if parsed is None:
        raise _NoPlan(
            "[simulator] this network did not come from an ONNX model, and the simulated runtime runs ONNX models only."
            " Expected: a network filled by OnnxParser. Write the model as ONNX, or run on a GPU."
        )
    edit = None
    if len(network._outputs) != len(parsed.outputs):
        verb = "added" if len(network._outputs) > len(parsed.outputs) else "removed"
        edit = f"outputs: one was {verb} (parsed {len(parsed.outputs)}, now {len(network._outputs)})"
    for tensor, (then, _) in zip(network._outputs, parsed.outputs, strict=False):
        if edit is None and tensor is not then:
            edit = f"output {tensor.name!r}: another tensor"
    for tensor, _, shape in parsed.inputs:
        if edit is None and tensor._shape != shape:
            edit = f"input {tensor.name!r}: was {shape}, now {tensor._shape}"
    if edit is not None:
        raise _NoPlan(
            f"[simulator] this network was edited after parsing ({edit}), and the simulated runtime would run the ONNX"
            " model without the edit. Make the change in the ONNX model, or run on a GPU."
        )
    return parsed


def _tensors(parsed: Parsed) -> tuple[TensorSpec, ...]:
    specs = []
    pairs = [("INPUT", t, name) for t, name, _ in parsed.inputs] + [("OUTPUT", t, n) for t, n in parsed.outputs]
    for mode, tensor, onnx_name in pairs:
        dtype = tensor.dtype.name
        if parsed.double(onnx_name):
            raise _NoPlan(
                f"[simulator] tensor {tensor.name!r} is DOUBLE in the ONNX model and {dtype} in TensorRT, which has no"
                " FP64. Expected FLOAT in the model: export it in FP32."
            )
        if dtype not in DTYPES:
            raise _NoPlan(
                f"[simulator] tensor {tensor.name!r} is {dtype}, which the simulated runtime cannot run; it has"
                f" {', '.join(DTYPES)}"
            )
        specs.append(TensorSpec(tensor.name, onnx_name, mode, dtype, tensor._shape, tensor.is_shape_tensor))
    return tuple(specs)


@dataclass(frozen=True)
class _Inputs:
    """Shapes of inputs at one end of a profile, and values of those that are shapes."""

    shapes: dict[str, tuple[int, ...]]
    values: dict[str, tuple[int, ...]]


def _ends(network: INetworkDefinition, profile: IOptimizationProfile) -> list[_Inputs]:
    """The inputs at the profile's min, opt and max, by the names of the network's tensors."""
    return [
        _Inputs(
            {t.name: profile._shapes[t.name][i] if t.name in profile._shapes else t._shape for t in network._inputs},
            {name: three[i] for name, three in _values(network, profile).items()},
        )
        for i in range(3)
    ]


def _static(network: INetworkDefinition) -> _Inputs:
    return _Inputs({t.name: t._shape for t in network._inputs}, {})


def _by_graph(parsed: Parsed, inputs: _Inputs) -> _Inputs:
    """The same by the graph's names. Dimensions of one name have one size: that of the first input that has it."""
    named: dict[str, int] = {}
    shapes, values = {}, {}
    for tensor, onnx_name, _ in parsed.inputs:
        dims = list(inputs.shapes[tensor.name])
        for axis, name in tensor._dimension_names.items():
            dims[axis] = named.setdefault(name, dims[axis])
        shapes[onnx_name] = tuple(dims)
        if tensor.name in inputs.values:
            values[onnx_name] = inputs.values[tensor.name]
    return _Inputs(shapes, values)


def _dynamic(network: INetworkDefinition, profile: IOptimizationProfile) -> dict[str, Triple]:
    return {t.name: profile._shapes[t.name] for t in network._inputs if -1 in t._shape}


def _values(network: INetworkDefinition, profile: IOptimizationProfile) -> dict[str, Triple]:
    return {t.name: profile._values[t.name] for t in network._inputs if t.is_shape_tensor and t.name in profile._values}


def _constants(parsed: Parsed) -> set[str]:
    inputs = {name for _, name, _ in parsed.inputs}
    graph = parsed.light.graph
    return {t.name for t in graph.initializer} | {i.name for i in graph.input if i.name not in inputs}


def _weight_bytes(parsed: Parsed) -> int:
    """Bytes of the weights that nodes use, once each, without shapes and axes."""
    used = {
        name
        for node in parsed.light.graph.node
        for i, name in enumerate(node.input)
        if i not in SHAPE_OPERANDS.get(node.op_type, ())
    }
    return sum(memory.size(parsed.facts[name]) for name in used & _constants(parsed))


# What NVIDIA's list of layers calls parts of a kernel: the first letters of an operator, with these exceptions.
_PARTS = {
    "LayerNormalization": "MeanSubMulMeanAddSqrtDivMulMulAdd",
    "Softmax": "MaxrSubExpSumDiv",
    "MatMul": "Fc",
    "Gemm": "Fc",
    "Gelu": "DivErfAddMulMul",
    "ReduceMax": "Maxr",
    "ReduceMean": "Mean",
    "ReduceSum": "Sum",
}


def _line(parsed: Parsed, kernel: memory.Kernel, place: int) -> str:
    """A kernel as the log lists it: its name says what was fused."""
    nodes = [parsed.light.graph.node[i] for i in kernel.nodes]
    kind = "kgen" if not kernel.product else "gemm" if len(nodes) == 1 else "runtime_fusion"
    parts = "".join(_PARTS.get(node.op_type, node.op_type[:4].capitalize()) for node in nodes)
    name = f"{label(nodes[0]) if kind == 'gemm' else f'__myl_{parts}'}_myl0_{place}"
    notes = "".join(f"[ONNX Layer: {label(node)}]" for node in nodes)
    sides = (_described(parsed, kernel.reads), _described(parsed, kernel.writes))
    return (
        f"Name: {name}, LayerType: {kind}, Inputs: {sides[0]}, Constants: [], Outputs: {sides[1]}, TacticName: ,"
        f" StreamId: 0, Metadata: {notes}"
    )


def _described(parsed: Parsed, names: set[str]) -> str:
    """Tensors as the detailed list of layers has them."""
    found = []
    for name in sorted(names):
        fact = parsed.facts.get(name, _UNKNOWN)
        dims = ",".join(str(d) if isinstance(d, int) else "-1" for d in fact.dims or ())
        kind = SPOKEN[TYPES.get(fact.kind, "FLOAT")]
        form = "Format: (Linear) Row major linear format"
        found.append(f"{{ Name: {name}, Dimensions: [{dims}], Datatype: {kind}, {form} }}")
    return f"[ {', '.join(found)}]" if found else "[]"


def _whole(parsed: Parsed) -> str:
    """All kernels as one node, as the log lists them without detail."""
    nodes = parsed.light.graph.node
    sides = [
        ", ".join(f"{t.name} ({SPOKEN[t.dtype.name]}[{','.join(map(str, t._shape))}])" for t in tensors)
        for tensors in ([t for t, _, _ in parsed.inputs], [t for t, _ in parsed.outputs])
    ]
    name = f"{{ForeignNode[{label(nodes[0])}...{label(nodes[-1])}]}}" if nodes else "{ForeignNode[]}"
    return f"Layer(Myelin): {name}, Tactic: 0x0000000000000000, {sides[0]} -> {sides[1]}"


def _version() -> str:
    from ..native import VERSION  # it imports this package

    return VERSION
