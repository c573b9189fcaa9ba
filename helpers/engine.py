"""ONNX to TensorRT plan, with nothing that fails in silence.

TensorRT's builder answers None, its parser False and a profile -1, and the reason went to a logger. `build`
looks at every answer and raises one `EngineError` that quotes the parser or the builder and says what to do.
It also refuses what the builder lets pass: a profile for an input that does not exist, a profile that holds
at its optimum and breaks at its maximum, an empty ONNX file. The network is strongly typed, so that the
precision is the one in the ONNX graph.
"""

from __future__ import annotations

import contextlib
import importlib
import operator
import os
import re
import shlex
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from helpers.files import replacing
from helpers.files import size as readable

Shape = tuple[int, ...]
#: Input name to its (minimum, optimum, maximum) shape.
Profile = Mapping[str, tuple[Sequence[int], Sequence[int], Sequence[int]]]

# Said after nearly every error of an API on a machine without a driver; it is never the reason.
_NOISE = re.compile(r"catchCudaError.*cudaError 35|The logger passed into .* differs from one already registered")
# Warnings that hold for every graph of ours, or only state what was asked for.
_BENIGN = re.compile(r"has Int64 binding|STRONGLY_TYPED")
_INCONSISTENT = re.compile(r"Profile k(MIN|OPT|MAX) values are not self-consistent\.?\s*(?P<what>.*)", re.DOTALL)


class EngineError(RuntimeError):
    """A plan could not be built or loaded. The text says what was wrong, what was expected and what to do.

    `log` holds what TensorRT logged until then, for whoever wants to read on.
    """

    def __init__(self, text: str, log: Sequence[LogLine] = ()) -> None:
        super().__init__(text)
        self.log = tuple(log)


@dataclass(frozen=True)
class LogLine:
    """One line that TensorRT logged. `severity` is VERBOSE, INFO, WARNING, ERROR or INTERNAL_ERROR."""

    severity: str
    text: str


@dataclass(frozen=True)
class EngineLayer:
    """One layer of the finished engine, as the build log lists it: most are several layers of the network fused."""

    name: str
    kind: str


@dataclass(frozen=True)
class BuildReport:
    """What a build made, in the builder's own figures.

    `activation_bytes` is what one execution context needs beside weights and the caller's buffers: the
    largest `Total Activation Memory` over the profiles. `weight_bytes` is `Total Weights Memory`. Both are
    None if the log did not say. `onnx_layers` counts the layers of the network that the parser made,
    `engine_layers` those that the builder left of it (over all profiles, each of which has kernels of its
    own).
    """

    path: Path
    plan_bytes: int
    activation_bytes: int | None
    weight_bytes: int | None
    seconds: float
    onnx_layers: int
    engine_layers: int
    log: tuple[LogLine, ...]
    layers: tuple[EngineLayer, ...]
    activation_bytes_by_profile: tuple[int, ...]
    target: str
    version: str

    @property
    def warnings(self) -> tuple[str, ...]:
        """What TensorRT warned of, without what is true of every graph of this course."""
        return tuple(line.text for line in self.log if line.severity == "WARNING" and not _BENIGN.search(line.text))

    def __str__(self) -> str:
        text = f"{self.path.name}: {readable(self.plan_bytes)}, built in {self.seconds:.1f} s for {self.target}"
        if self.activation_bytes is not None and self.weight_bytes is not None:
            text += f"; activations {readable(self.activation_bytes)}, weights {readable(self.weight_bytes)}"
        if self.engine_layers:
            text += f"; {self.onnx_layers} layers became {self.engine_layers}"
        return text


def build(
    onnx_path: str | os.PathLike[str],
    plan_path: str | os.PathLike[str],
    profiles: Profile | Sequence[Profile],
    *,
    workspace: int = 4 << 30,
    tf32: bool = False,
    target: str | Sequence[str] | None = None,
    progress: bool = True,
) -> BuildReport:
    """Build a plan from an ONNX file and write it, whole or not at all.

    Args:
        onnx_path: ONNX file; weights in a second file are found beside it.
        plan_path: file to write; `plan_name` gives a telling one. An old plan stays if the build fails.
        profiles: one profile or several. Each maps every dynamic input to its (min, opt, max) shapes.
        workspace: bytes of scratch memory that a layer may ask for.
        tf32: let FP32 matrix products round their operands to TF32 on GPUs that can. Off, so that FP32 means
        FP32. target: GPU generation such as "SM86", or several; TensorRT-RTX only. None leaves it to the
            builder: portable on TensorRT-RTX, the GPU of this machine on TensorRT.
        progress: draw a progress bar on a terminal, one line of progress in a notebook.

    Returns:
        Sizes, times, layer counts and the log.

    Raises:
        EngineError: missing or broken ONNX, a profile that does not fit, not enough workspace, or whatever
            else the builder refused, with its first error quoted.
        KeyboardInterrupt: the build was stopped; the old plan is untouched.
    """
    trt = _tensorrt()
    source = _existing(onnx_path, "ONNX file", "export the model first")
    wanted = _as_profiles(profiles)
    destination = Path(plan_path)
    if destination.is_dir():
        raise EngineError(f"{destination} is a folder. Expected a file to write, for example a name from plan_name().")
    if isinstance(workspace, bool) or not isinstance(workspace, int) or workspace <= 0:
        raise EngineError(f"workspace is {workspace!r}. Expected a positive number of bytes, for example 4 << 30.")

    logger = _logger(trt)
    builder = trt.Builder(logger)
    if not builder:  # pragma: no cover - needs a GPU
        raise EngineError(_because(logger, "TensorRT's builder did not start", "run python -m helpers doctor"))
    network = builder.create_network(1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED))
    parser = trt.OnnxParser(network, logger)
    _parse(parser, network, logger, source)

    config = builder.create_builder_config()
    config.set_memory_pool_limit(trt.MemoryPoolType.WORKSPACE, workspace)
    (config.set_flag if tf32 else config.clear_flag)(trt.BuilderFlag.TF32)
    # With DETAILED the VERBOSE log lists the finished engine's layers; else all of them count as one foreign
    # node.
    config.profiling_verbosity = trt.ProfilingVerbosity.DETAILED
    target_name = _set_target(trt, config, target)
    inputs = [network.get_input(index) for index in range(network.num_inputs)]
    for index, profile in enumerate(wanted):
        _check_profile(index, profile, inputs)
        _add_profile(builder, config, logger, index, profile)
    if not wanted and any(-1 in tuple(tensor.shape) for tensor in inputs):
        dynamic = [tensor.name for tensor in inputs if -1 in tuple(tensor.shape)]
        raise EngineError(
            f"No profile was given, but {', '.join(dynamic)} have dynamic axes. Expected a profile for them."
        )

    started = time.perf_counter()
    with _Progress(f"Building {destination.name}", enabled=progress) as bar:
        config.progress_monitor = monitor = _monitor(trt, bar)
        plan = builder.build_serialized_network(network, config)
    seconds = time.perf_counter() - started
    if monitor.interrupted:
        raise KeyboardInterrupt("build stopped")
    _refuse_inconsistent(logger)
    if plan is None:
        raise EngineError(_because(logger, f"The builder refused {source.name}", _remedy(logger)), logger.lines)
    try:
        with replacing(destination) as part, open(part, "wb") as file:
            file.write(plan)
    except OSError as error:
        raise EngineError(
            f"Cannot write {destination}: {error.strerror or error}. Expected a folder that can be written; "
            "give another path or change the folder's permissions."
        ) from error

    activations = logger.figures("Total Activation Memory")
    weights = logger.figures("Total Weights Memory")
    layers = _engine_layers(logger.lines)
    return BuildReport(
        path=destination,
        # The simulator's file holds the ONNX graph too; its plan says how many bytes are NVIDIA's.
        plan_bytes=int(plan.nbytes),
        activation_bytes=max(activations, default=None),
        weight_bytes=max(weights, default=None),
        seconds=seconds,
        onnx_layers=network.num_layers,
        engine_layers=len(layers),
        log=tuple(logger.lines),
        layers=layers,
        activation_bytes_by_profile=tuple(activations),
        target=target_name,
        version=str(trt.__version__),
    )


def load(plan_path: str | os.PathLike[str]) -> Any:
    """Read a plan and make an `ICudaEngine` of it.

    Raises:
        EngineError: no such file, an empty or cut file, something that is no plan, or a plan for another
            TensorRT or another GPU.
    """
    source = _existing(plan_path, "plan", "build it first")
    plan = source.read_bytes()
    _refuse_other_files(source, plan)

    trt = _tensorrt()
    logger = _logger(trt)
    runtime = trt.Runtime(logger)
    if not runtime:  # pragma: no cover - needs a GPU
        raise EngineError(_because(logger, "TensorRT's runtime did not start", "run python -m helpers doctor"))
    engine = runtime.deserialize_cuda_engine(plan)
    if engine is None:
        said = logger.first_error() or ""
        for pattern, what, remedy in _LOAD_FAILURES:
            if re.search(pattern, said):
                raise EngineError(
                    f"{source} {what}. Expected a plan for TensorRT {trt.__version__} on this machine; "
                    f"{remedy}. TensorRT says: {said}"
                )
        raise EngineError(_because(logger, f"TensorRT cannot load {source}", "build the plan again on this machine"))
    return engine


def plan_name(stem: str, target: str | Sequence[str] | None = None) -> str:
    """A file name that says which TensorRT and which GPU a plan is for.

    `plan_name("distilbert_fp16")` is `distilbert_fp16.rtx-1.7.1.116.portable.plan` with TensorRT-RTX, something
    like `distilbert_fp16.trt-10.16.1.11.sm75.plan` with TensorRT beside a T4, and
    `distilbert_fp16.simulator-11.4.0.106.portable.plan` on the simulator: plans move across none of them.
    """
    trt = _tensorrt()
    if not stem or Path(stem).name != stem:
        raise EngineError(f"{stem!r} is no file name. Expected a name without folders, for example 'distilbert_fp16'.")
    simulated = hasattr(trt, "__builder__")
    flavour = "simulator" if simulated else "rtx" if hasattr(trt, "ComputeCapability") else "trt"
    names = _targets(trt, target)
    where = "-".join(name.lower() for name in names) if names else _default_target(trt)
    return f"{stem}.{flavour}-{trt.__version__}.{where}.plan"


def trtexec_command(
    onnx_path: str | os.PathLike[str],
    plan_path: str | os.PathLike[str],
    profiles: Profile | Sequence[Profile],
    *,
    workspace: int = 4 << 30,
    executable: str = "trtexec",
) -> str:
    """The command line that builds the same plan as `build` with the same arguments.

    TensorRT's archive and OS packages bring `trtexec`; its wheels do not, so this line was never run by our tests.
    TensorRT-RTX has a tool of its own, `tensorrt_rtx`. `--stronglyTyped` is TensorRT 10's: later, all networks are.

    Raises:
        EngineError: the profiles are malformed.
    """
    wanted = _as_profiles(profiles)
    words = [executable, f"--onnx={os.fspath(onnx_path)}", f"--saveEngine={os.fspath(plan_path)}"]
    for index, profile in enumerate(wanted):
        if len(wanted) > 1:
            words.append(f"--profile={index}")
        for place, option in enumerate(("--minShapes", "--optShapes", "--maxShapes")):
            shapes = ",".join(f"{name}:{'x'.join(map(str, three[place]))}" for name, three in profile.items())
            words.append(f"{option}={shapes}")
    words += [f"--memPoolSize=workspace:{workspace / 2**20:g}M", "--noTF32", "--stronglyTyped"]
    return shlex.join(words)


def _tensorrt() -> ModuleType:
    """`import tensorrt` of the backend in use; without one, the best for this machine, which is named then."""
    from helpers import backend

    if backend.current() is None:
        backend.activate()
    return importlib.import_module("tensorrt")


# --- what a caller gives ---


def _existing(path: str | os.PathLike[str], what: str, remedy: str) -> Path:
    source = Path(path)
    if source.is_dir():
        raise EngineError(f"{source} is a folder. Expected the path of a {what}; {remedy}.")
    if not source.is_file():
        raise EngineError(f"No {what} at {source}. Expected an existing file; {remedy}.")
    if source.stat().st_size == 0:
        # The parser takes nothing at all for a valid, empty model: it answers True and reports no error.
        raise EngineError(f"{source} is empty (0 bytes). Expected a whole {what}; {remedy}.")
    return source


def _as_profiles(profiles: Any) -> list[dict[str, tuple[Shape, Shape, Shape]]]:
    given = [profiles] if isinstance(profiles, Mapping) else profiles
    if isinstance(given, str | bytes) or not isinstance(given, Sequence):
        raise EngineError(
            f"profiles is {type(profiles).__name__}. Expected a dict such as "
            "{'input_ids': ((1, 64), (32, 64), (128, 64)), ...}, or a list of them."
        )
    checked = []
    for index, profile in enumerate(given):
        if not isinstance(profile, Mapping):
            raise EngineError(
                f"Profile {index} is {type(profile).__name__}. Expected a dict from input name to (min, opt, max)."
            )
        checked.append({str(name): _as_shapes(index, name, shapes) for name, shapes in profile.items()})
    return checked


def _as_shapes(index: int, name: str, shapes: Any) -> tuple[Shape, Shape, Shape]:
    try:
        low, best, high = (tuple(operator.index(dim) for dim in shape) for shape in shapes)
    except (TypeError, ValueError) as error:
        raise EngineError(
            f"Profile {index} gives {shapes!r} for {name}. Expected three shapes of integers (min, opt, "
            "max), for example ((1, 64), (32, 64), (128, 64))."
        ) from error
    return low, best, high


def _check_profile(index: int, profile: Mapping[str, tuple[Shape, Shape, Shape]], inputs: Sequence[Any]) -> None:
    """Everything about a profile that can be known before the build, most of which the builder would not say."""
    known = {tensor.name: tensor for tensor in inputs}
    unknown = sorted(set(profile) - set(known))
    if unknown:
        raise EngineError(
            f"Profile {index} names {', '.join(unknown)}, which the network does not have. Expected "
            f"{', '.join(known)}; correct the name (the builder would ignore it in silence)."
        )
    by_axis_name: dict[str, tuple[str, tuple[int, int, int]]] = {}
    for name, tensor in known.items():
        shape = tuple(tensor.shape)
        if name not in profile:
            if -1 in shape:
                raise EngineError(
                    f"Profile {index} lacks the dynamic input {name} {list(shape)}. Expected (min, opt, max) "
                    "for every dynamic input; add it."
                )
            continue
        low, best, high = profile[name]
        if not len(low) == len(best) == len(high) == len(shape):
            raise EngineError(
                f"Profile {index} gives {name} {len(low)}, {len(best)} and {len(high)} axes. Expected "
                f"{len(shape)}, as the network has {list(shape)}."
            )
        for axis, (size, *dims) in enumerate(zip(shape, low, best, high, strict=True)):
            where = f"Profile {index}, {name}, axis {axis}: min {dims[0]}, opt {dims[1]}, max {dims[2]}."
            if min(dims) < 0:
                raise EngineError(f"{where} Expected sizes of 0 or more; -1 belongs into the network, not the profile.")
            if not dims[0] <= dims[1] <= dims[2]:
                raise EngineError(f"{where} Expected min <= opt <= max; sort them.")
            if size != -1 and set(dims) != {size}:
                raise EngineError(f"{where} Expected {size}, {size}, {size}: this axis is fixed in the network.")
            axis_name = tensor.get_dimension_name(axis)
            if size != -1 or not axis_name:
                continue
            # At run time axes of one name have one size. The builder compares them at the optimum alone.
            first, sizes = by_axis_name.setdefault(axis_name, (name, (dims[0], dims[1], dims[2])))
            if sizes != (dims[0], dims[1], dims[2]):
                raise EngineError(
                    f"Profile {index}: {first} and {name} share the axis {axis_name!r}, but have (min, opt, "
                    f"max) {sizes} and {tuple(dims)} there. Expected the same sizes, since both inputs come "
                    "from one batch."
                )


def _add_profile(
    builder: Any, config: Any, logger: Any, index: int, shapes: Mapping[str, tuple[Shape, Shape, Shape]]
) -> None:
    profile = builder.create_optimization_profile()
    for name, (low, best, high) in shapes.items():
        profile.set_shape(name, low, best, high)
    if config.add_optimization_profile(profile) < 0:
        raise EngineError(_because(logger, f"Profile {index} was refused", "correct its shapes"))


def _targets(trt: Any, target: str | Sequence[str] | None) -> list[str]:
    """Member names of `trt.ComputeCapability` for what the caller gave; an empty list if nothing was given."""
    if target is None or target == "portable":
        return []
    members = getattr(trt, "ComputeCapability", None)
    if members is None:  # pragma: no cover - needs a GPU
        raise EngineError(
            f"target={target!r} is for TensorRT-RTX. TensorRT {trt.__version__} builds for the GPU that it "
            "runs on; leave target out and build on the machine that will run the plan."
        )
    known = sorted(
        (name for name in members.__members__ if re.fullmatch(r"SM\d+", name)), key=lambda name: int(name[2:])
    )
    names = []
    for item in [target] if isinstance(target, str) else list(target):
        name = "SM" + re.sub(r"\D", "", str(item))
        if name not in known:
            raise EngineError(
                f"Unknown target {item!r}. Expected one of {', '.join(known)}, or None for a portable plan."
            )
        names.append(name)
    return names


def _set_target(trt: Any, config: Any, target: str | Sequence[str] | None) -> str:
    names = _targets(trt, target)
    if not names:
        return _default_target(trt)
    config.num_compute_capabilities = len(names)
    for index, name in enumerate(names):
        if not config.set_compute_capability(getattr(trt.ComputeCapability, name), index):
            raise EngineError(f"The builder does not take {name} as target {index}. Leave out the target, or give one.")
    return "-".join(name.lower() for name in names)


def _default_target(trt: Any) -> str:
    if hasattr(trt, "ComputeCapability"):
        return "portable"
    from helpers import environment  # pragma: no cover - needs a GPU

    gpu = environment.inspect().gpu  # pragma: no cover - needs a GPU
    return "sm{}{}".format(*gpu.compute_capability) if gpu else "unknown"  # pragma: no cover - needs a GPU


# --- parser, builder and what they say ---


def _parse(parser: Any, network: Any, logger: Any, source: Path) -> None:
    parsed = parser.parse_from_file(str(source))
    errors = [parser.get_error(index) for index in range(parser.num_errors)]
    if not parsed or errors:
        said = [_describe(error) for error in errors] or ["(it gave no reason)"]
        # Which file could not be opened is only in the log.
        said += [line.text for line in logger.lines if "Failed to open file" in line.text]
        listed = "\n".join(f"  {text}" for text in said)
        raise EngineError(f"The ONNX parser refused {source}:\n{listed}\n{_parse_remedy(listed)}", logger.lines)
    if network.num_outputs == 0 or network.num_inputs == 0:
        # Some texts are valid, empty protobuf messages, and the parser takes them.
        raise EngineError(
            f"{source} holds no model: the parser found {network.num_inputs} inputs and "
            f"{network.num_outputs} outputs. Expected at least one of each; give the file that "
            "torch.onnx.export wrote.",
            logger.lines,
        )


def _describe(error: Any) -> str:
    """A parser error with its node. Node fields are empty when the file could not be read at all."""
    text = str(error.desc()).strip()
    if error.node_operator() or error.node_name():
        text = f"node {error.node()} {error.node_name()!r} ({error.node_operator()}): {text}"
    return f"{text} [{str(error.code()).rpartition('.')[2]}]"


def _parse_remedy(said: str) -> str:
    if "Failed to open file" in said or "external" in said.lower():
        return "Expected its weights beside it; keep the second file in the same folder, or export into one file."
    if "MODEL_DESERIALIZE_FAILED" in said:
        return "Expected a whole ONNX file; it is cut, or something else. Export it again."
    if "Plugin not found" in said:
        return "Expected operators that TensorRT has; export with opset 20, or replace the operator."
    if "must have same input types" in said or "Half" in said:
        return "Expected one precision on both sides; convert the whole graph with helpers.precision.to_fp16."
    return "Expected a graph that TensorRT supports; export with eager attention, dynamo=True and opset 20."


def _refuse_inconsistent(logger: Any) -> None:
    """A profile that breaks at its minimum or maximum is only a warning to the builder, and a failure at run time."""
    for line in logger.lines:
        found = _INCONSISTENT.search(line.text)
        if found:
            end = {"MIN": "minimum", "OPT": "optimum", "MAX": "maximum"}[found[1]]
            what = re.split(r"\s+In \w+(?:\(\))? at |\s+Instruction:", found["what"])[0]
            raise EngineError(
                f"The profile does not work at its {end}: {what.strip()} Expected shapes that the graph can "
                "compute with at minimum, optimum and maximum (an axis no longer than the model's position "
                "table, a batch of at least 1, equal sizes for all inputs). At a minimum or maximum the "
                "builder only warns of it, and the engine fails at run time.",
                logger.lines,
            )


def _because(logger: Any, what: str, remedy: str) -> str:
    said = logger.first_error()
    return (
        f"{what}. TensorRT says: {said}\nTo do: {remedy}." if said else f"{what}, and gave no reason. To do: {remedy}."
    )


def _remedy(logger: Any) -> str:
    said = logger.first_error() or ""
    for pattern, remedy in (
        (
            r"no tactics to implement the operation within workspace",
            "raise workspace, for example to 4 << 30",
        ),
        (r"OutOfMemory", "raise workspace, or lower the profile's maximum batch or length"),
        (r"FP32 GEMM is not supported", "build this target from an FP16 graph (helpers.precision.to_fp16)"),
        (r"not self-consistent", "give all inputs the same batch and length"),
        (r"not supported by a dedicated kernel", "export with opset 20 and eager attention"),
    ):
        if re.search(pattern, said):
            return remedy
    return "read the exception's .log, and see what python -m helpers doctor says of this machine"


# Pattern in TensorRT's message, what that means of the file, what to do.
_LOAD_FAILURES = (
    (
        r"Version tag does not match",
        "was built by another version of TensorRT",
        "build it again with this version",
    ),
    (
        r"incompatible device|compute capability",
        "was built for another GPU",
        "build it again on this machine, or for this GPU by target=",
    ),
    (
        r"blobSize|minBufferSize|bufferSize",
        "is cut short",
        "copy it again in binary mode, or build it again",
    ),
    (r"checksum", "is damaged", "copy it again in binary mode, or build it again"),
    (r"magicTag|MAGIC_TAG|magic", "is no plan of this TensorRT", "give the file that engine.build wrote"),
)


def _refuse_other_files(source: Path, content: bytes) -> None:
    """Name the usual mistakes: a text, or the ONNX file itself. A plan starts with binary bytes."""
    head = content[:512]
    if head.startswith(b"version https://git-lfs"):
        raise EngineError(f"{source} is a Git LFS pointer. Expected the plan itself; run git lfs pull.")
    with contextlib.suppress(UnicodeDecodeError):
        if head.decode("utf-8").isprintable() or head.decode("utf-8").replace("\n", "").replace("\r", "").isprintable():
            raise EngineError(
                f"{source} is a text that begins {head[:30].decode('utf-8', 'replace')!r}. Expected a plan; "
                "give the file that engine.build wrote."
            )
    if source.suffix == ".onnx":
        raise EngineError(f"{source} is an ONNX file. Expected a plan; make one with engine.build.")


def _engine_layers(lines: Sequence[LogLine]) -> tuple[EngineLayer, ...]:
    """The finished engine's layers, from the list that the builder logs at VERBOSE.

    With detailed profiling one message starts with `Layers:` and has a line `Name: .., LayerType: ..` for
    each; older versions write `Engine Layer Information:` and lines `Layer(kind): name, ..`.
    """
    found = []
    for line in lines:
        if not line.text.startswith(("Layers:", "Engine Layer Information")):
            continue
        for item in line.text.splitlines():
            match = re.match(r"Name: (?P<name>.*?), LayerType: (?P<kind>\w+)", item) or re.match(
                r"Layer\((?P<kind>[^)]*)\): (?P<name>[^,]*)", item
            )
            if match:
                found.append(EngineLayer(match["name"], match["kind"]))
    return tuple(found)


_LOGGERS: dict[ModuleType, type] = {}
_MONITORS: dict[ModuleType, type] = {}


def _logger(trt: ModuleType) -> Any:
    """A new logger that keeps every line and prints none. The class is made late: its base comes with the backend."""
    if trt not in _LOGGERS:

        class Collector(trt.ILogger):  # type: ignore[name-defined]
            def __init__(self) -> None:
                trt.ILogger.__init__(self)
                self.lines: list[LogLine] = []

            def log(self, severity: Any, text: str) -> None:
                if not _NOISE.search(text):
                    self.lines.append(LogLine(str(severity).rpartition(".")[2], text.strip()))

            def first_error(self) -> str | None:
                return next((line.text for line in self.lines if "ERROR" in line.severity), None)

            def figures(self, what: str) -> list[int]:
                pattern = re.compile(rf"{what}: (\d+) bytes")
                return [int(found[1]) for line in self.lines if (found := pattern.search(line.text))]

        _LOGGERS[trt] = Collector
    return _LOGGERS[trt]()


def _monitor(trt: ModuleType, bar: _Progress) -> Any:
    if trt not in _MONITORS:

        class Monitor(trt.IProgressMonitor):  # type: ignore[name-defined]
            """Hands phases to a bar. Nothing may escape from here: an exception would cross C++ frames."""

            def __init__(self, drawn: _Progress) -> None:
                trt.IProgressMonitor.__init__(self)
                self.drawn = drawn
                self.interrupted = False

            def phase_start(self, phase_name: str, parent_phase: str | None, num_steps: int) -> None:
                with self._guarded():
                    self.drawn.start(phase_name, parent_phase, num_steps)

            def step_complete(self, phase_name: str, step: int) -> bool:
                with self._guarded():
                    self.drawn.step(phase_name, step)
                return not self.interrupted

            def phase_finish(self, phase_name: str) -> None:
                with self._guarded():
                    self.drawn.finish(phase_name)

            @contextlib.contextmanager
            def _guarded(self) -> Iterator[None]:
                try:
                    yield
                except KeyboardInterrupt:
                    self.interrupted = True
                except Exception:  # a bar that cannot be drawn must not stop a build
                    self.drawn.enabled = False

        _MONITORS[trt] = Monitor
    return _MONITORS[trt](bar)


class _Progress:
    """One bar for phases that nest: a phase's share is its finished steps plus the share of the phase inside
    it.

    On a terminal the bar is tqdm's and goes when the build is done. In a notebook it is one line that is
    replaced in place, so that a saved notebook holds a single line. Anywhere else (a pipe, a log) nothing is
    drawn.
    """

    def __init__(self, title: str, *, enabled: bool = True) -> None:
        self.title = title
        self.enabled = enabled
        self.share = 0.0
        self._phases: dict[str, list[Any]] = {}  # name -> [parent, steps, steps done], in order of their start
        self._bar: Any = None
        self._line: Any = None
        self._drawn = 0.0
        self._started = time.perf_counter()

    def __enter__(self) -> _Progress:
        if self.enabled and _in_notebook():
            from IPython.display import display

            self._line = display(self._text(""), display_id=True)
        elif self.enabled and sys.stderr is not None and sys.stderr.isatty():
            from tqdm import tqdm

            self._bar = tqdm(
                total=100, desc=self.title, leave=False, file=sys.stderr,
                bar_format="{desc}: {percentage:3.0f} %|{bar}| {elapsed}{postfix}",
            )  # fmt: skip
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.close()
        if self._line is not None:
            took = time.perf_counter() - self._started
            state = "done" if self.share >= 0.99 else "stopped"
            self._line.update(_Line(f"{self.title}: {state} after {took:.1f} s"))

    def start(self, name: str, parent: str | None, steps: int) -> None:
        """A phase begins inside `parent`, or at the top if that is None."""
        self._phases[name] = [parent, max(steps, 1), 0]
        self._draw(name)

    def step(self, name: str, step: int) -> None:
        """Step `step`, counted from 0, of a phase is complete."""
        if name in self._phases:
            self._phases[name][2] = step + 1
            self._draw(name)

    def finish(self, name: str) -> None:
        """A phase ends; if no other is left, so does the whole."""
        self._phases.pop(name, None)
        if not self._phases:
            self.share = 1.0
        self._draw(name)

    def _share_of(self, name: str) -> float:
        _, steps, done = self._phases[name]
        inside = [child for child, (parent, *_) in self._phases.items() if parent == name and child != name]
        return min(1.0, (done + max((self._share_of(child) for child in inside), default=0.0)) / steps)

    def _draw(self, name: str) -> None:
        top = [phase for phase, (parent, *_) in self._phases.items() if parent not in self._phases]
        if top:
            # Phases that come and go make the sum fall for a moment; a bar never runs backwards.
            self.share = max(self.share, max(self._share_of(phase) for phase in top))
        if not self.enabled:
            return
        if self._bar is not None:
            self._bar.n = round(100 * self.share)
            self._bar.set_postfix_str(name[:40], refresh=False)
            self._bar.update(0)
        now = time.perf_counter()
        if self._line is not None and now - self._drawn > 0.2:
            self._drawn = now
            self._line.update(self._text(name))

    def _text(self, name: str) -> _Line:
        return _Line(f"{self.title}: {100 * self.share:3.0f} % {name}".rstrip())


class _Line:
    """A line of plain text as a notebook's output: without quotes, and without any HTML."""

    def __init__(self, text: str) -> None:
        self.text = text

    def __repr__(self) -> str:
        return self.text


def _in_notebook() -> bool:
    """Whether this process is a Jupyter kernel; asked without importing IPython into a plain script."""
    shell = sys.modules["IPython"].get_ipython() if "IPython" in sys.modules else None
    return shell is not None and getattr(shell, "kernel", None) is not None
