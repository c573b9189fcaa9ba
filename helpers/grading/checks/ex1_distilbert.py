"""Exercise 1: what right answers to its seven TODOs do. The table is `CHECKS`.

A check looks at products: the ONNX graph, the plan and its engine, outputs on inputs chosen here, and the device's
record. Each TODO is judged on a good input made here, so that one bug costs one check. Nothing here uses the library's
own export, engine or runtime: those are answers.
"""

from __future__ import annotations

import functools
import logging
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..compare import differs
from ..report import Check, Report, said, words

Shape = tuple[int, ...]

_NO_RECORD = "only the simulated device keeps a record"


# --- good inputs ----------------------------------------------------------------------------------------------------

_VOCABULARY, _LABELS = 50, 3


@functools.cache
def _table() -> np.ndarray:
    return np.random.default_rng(1).normal(size=(_VOCABULARY, _LABELS)).astype(np.float32)


@functools.cache
def _classifier() -> bytes:
    """tokens, mask: int64 [batch, sequence] -> scores float32 [batch, 3]: the masked sum of the tokens' table rows."""
    import onnx
    from onnx import numpy_helper

    model = onnx.parser.parse_model("""
        <ir_version: 10, opset_import: ["" : 20]>
        classifier (int64[batch, sequence] tokens, int64[batch, sequence] mask) => (float[batch, 3] scores) {
            last = Constant <value_ints = [-1]> ()
            second = Constant <value_ints = [1]> ()
            rows = Gather (table, tokens)
            factor = Cast <to = 1> (mask)
            column = Unsqueeze (factor, last)
            product = Mul (rows, column)
            scores = ReduceSum <keepdims = 0> (product, second)
        }""")
    model.graph.initializer.append(numpy_helper.from_array(_table(), "table"))
    return bytes(model.SerializeToString())


def _expected(tokens: np.ndarray, mask: np.ndarray) -> np.ndarray:
    return (_table()[tokens] * mask[..., None]).sum(1).astype(np.float32)


@functools.cache
def _three_inputs() -> bytes:
    """tokens int64, mask int64, weights float32, all [batch, sequence] -> score float16 [batch]."""
    import onnx

    model = onnx.parser.parse_model("""
        <ir_version: 10, opset_import: ["" : 20]>
        three (int64[batch, sequence] tokens, int64[batch, sequence] mask, float[batch, sequence] weights)
            => (float16[batch] score) {
            last = Constant <value_ints = [-1]> ()
            both = Mul (tokens, mask)
            numbers = Cast <to = 1> (both)
            product = Mul (numbers, weights)
            total = ReduceSum <keepdims = 0> (product, last)
            score = Cast <to = 10> (total)
        }""")
    return bytes(model.SerializeToString())


def _unknown_operator() -> bytes:
    import onnx

    model = onnx.parser.parse_model("""
        <ir_version: 10, opset_import: ["" : 20, "course" : 1]>
        broken (float[n] x) => (float[n] y) { y = course.NoSuchOperator (x) }""")
    return bytes(model.SerializeToString())


def _quiet_logger() -> Any:
    import tensorrt as trt

    class Quiet(trt.ILogger):
        def __init__(self) -> None:
            trt.ILogger.__init__(self)
            self.errors: list[str] = []

        def log(self, severity: Any, text: str) -> None:
            if "ERROR" in severity.name:
                self.errors.append(text)

    return Quiet()


@dataclass(frozen=True)
class _Ground:
    """A builder with a parsed network and an empty config. All of them are kept alive as long as they are used."""

    logger: Any
    builder: Any
    network: Any
    parser: Any
    config: Any


def _ground(onnx_bytes: bytes) -> _Ground:
    import tensorrt as trt

    logger = _quiet_logger()
    builder = trt.Builder(logger)
    network = builder.create_network(1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED))
    parser = trt.OnnxParser(network, logger)
    if not parser.parse(onnx_bytes):
        raise AssertionError(f"the check's own model does not parse: {parser.get_error(0).desc()}")
    return _Ground(logger, builder, network, parser, builder.create_builder_config())


def _profile(ground: _Ground, smallest: Shape, usual: Shape, largest: Shape) -> None:
    profile = ground.builder.create_optimization_profile()
    for i in range(ground.network.num_inputs):
        profile.set_shape(ground.network.get_input(i).name, smallest, usual, largest)
    ground.config.add_optimization_profile(profile)


@functools.lru_cache(maxsize=8)
def _plan(onnx_bytes: bytes, smallest: Shape, usual: Shape, largest: Shape) -> bytes:
    ground = _ground(onnx_bytes)
    _profile(ground, smallest, usual, largest)
    plan = ground.builder.build_serialized_network(ground.network, ground.config)
    if plan is None:
        raise AssertionError(f"the check's own plan does not build: {ground.logger.errors}")
    return bytes(plan)


@dataclass
class _Buffer:
    host: np.ndarray
    device: Any


class _Engine:
    """A good engine of `plan` with context, stream and buffers, and `run`, one right inference."""

    def __init__(self, plan: bytes, largest: Mapping[str, Shape]) -> None:
        import pycuda.driver as cuda
        import tensorrt as trt

        _need_context()
        self.logger = _quiet_logger()
        self.runtime = trt.Runtime(self.logger)
        self.engine = self.runtime.deserialize_cuda_engine(plan)
        if self.engine is None:
            raise AssertionError(f"the check's own plan does not load: {self.logger.errors}")
        self.context = self.engine.create_execution_context()
        self.stream = cuda.Stream()
        for name, shape in largest.items():
            self.context.set_input_shape(name, shape)
        self.buffers: dict[str, _Buffer] = {}
        for i in range(self.engine.num_io_tensors):
            name = self.engine.get_tensor_name(i)
            dtype = trt.nptype(self.engine.get_tensor_dtype(name))
            host = cuda.pagelocked_empty(int(trt.volume(self.context.get_tensor_shape(name))), dtype)
            host.fill(0)
            self.buffers[name] = _Buffer(host, cuda.mem_alloc(host.nbytes))

    def run(self, tokens: np.ndarray, mask: np.ndarray) -> np.ndarray:
        import pycuda.driver as cuda

        for name, array in (("tokens", tokens), ("mask", mask)):
            self.context.set_input_shape(name, array.shape)
            host = self.buffers[name].host[: array.size]
            host[:] = array.ravel()
            cuda.memcpy_htod_async(self.buffers[name].device, host, self.stream)
        for name, buffer in self.buffers.items():
            self.context.set_tensor_address(name, int(buffer.device))
        self.context.execute_async_v3(self.stream.handle)
        result = self.buffers["scores"].host[: len(tokens) * _LABELS]
        cuda.memcpy_dtoh_async(result, self.buffers["scores"].device, self.stream)
        self.stream.synchronize()
        return result.reshape(-1, _LABELS).copy()


def _need_context() -> None:
    """Make a CUDA context, where the notebook has not done it yet."""
    import pycuda.driver as cuda

    if cuda.Context.get_current() is None:
        import pycuda.autoprimaryctx  # noqa: F401


def _batch(rows: int, length: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    return random.integers(0, _VOCABULARY, (rows, length)), (random.random((rows, length)) < 0.7).astype(np.int64)


def _simulated() -> bool:
    from helpers import backend

    active = backend.current()
    return active is not None and active.simulated


_seen = 0  # events of the record that were counted already: reading only the new ones keeps a check quick


def _mark() -> int:
    """How many events the device's record has; 0 where there is none."""
    global _seen
    _seen += len(_events(_seen))
    return _seen


def _events(since: int) -> list[dict[str, Any]]:
    from helpers import backend

    return backend.record(since) if _simulated() else []


@contextmanager
def _folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="check-") as name:
        yield Path(name)


# --- ex1/export -----------------------------------------------------------------------------------------------------


def _tiny_model() -> Any:
    import torch
    from transformers import DistilBertConfig, DistilBertForSequenceClassification

    config = DistilBertConfig(
        vocab_size=_VOCABULARY,
        max_position_embeddings=512,
        n_layers=1,
        n_heads=2,
        dim=16,
        hidden_dim=32,
        num_labels=_LABELS,
        initializer_range=0.5,
    )
    config._attn_implementation = "eager"
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        return DistilBertForSequenceClassification(config).eval()


def _dims(tensor: Any) -> list[str | int]:
    return [d.dim_param or d.dim_value for d in tensor.type.tensor_type.shape.dim]


def _export(export_onnx: Callable[..., Any], report: Report) -> None:
    import onnx

    model = _tiny_model()
    wanted = _answers(model)  # before the model is handed out
    with _folder() as folder:
        path = folder / "model.onnx"
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            before = logging.root.manager.disable
            logging.disable(logging.WARNING)  # the exporter's notes on packages that nobody needs here
            try:
                report.call("the model is exported", export_onnx, model, path)
            finally:
                logging.disable(before)
        if not path.is_file():
            report.fail(
                "the ONNX file is at the path that was given",
                "there is no such file",
                "hand `str(path)` to torch.onnx.export as its third argument.",
            )
        beside = sorted(p.name for p in folder.iterdir() if p != path)
        try:
            proto = onnx.load(str(path), load_external_data=False)
            outside = [t.name for t in proto.graph.initializer if t.data_location == onnx.TensorProto.EXTERNAL]
            if not outside:
                onnx.checker.check_model(proto, full_check=True)
            problem = ""
        except Exception as error:  # onnx raises its own types, protobuf others
            report.fail("the file is valid ONNX", words(error), "write it with torch.onnx.export alone.")
        report.expect(
            "one file, with the weights inside",
            not outside,
            0.5,
            f"{len(outside)} tensors are kept outside, in {', '.join(beside) or 'another file'}",
            "external_data=False; a parser that is given bytes cannot find a second file.",
        )
        inputs, outputs = {t.name: t for t in proto.graph.input}, {t.name: t for t in proto.graph.output}
        names = ("input_ids", "attention_mask")
        named = report.expect(
            "int64 inputs input_ids and attention_mask, output logits",
            set(inputs) == set(names)
            and set(outputs) == {"logits"}
            and all(t.type.tensor_type.elem_type == onnx.TensorProto.INT64 for t in inputs.values()),
            0.5,
            f"inputs {sorted(inputs)}, outputs {sorted(outputs)}",
            "input_names=[...] and output_names=[...]; a missing input may be the same tensor as the other.",
        )
        if not named:
            return
        fixed = [
            f"{name} axis {axis} is {dim}"
            for name in names
            for axis, dim in enumerate(_dims(inputs[name]))
            if _fixed(dim)
        ]
        report.expect(
            "batch and sequence of both inputs are dynamic",
            not fixed and all(len(_dims(inputs[name])) == 2 for name in names),
            1.0,
            ", ".join(fixed),
            "dynamic_shapes: one {0: Dim, 1: Dim} for each input; the example batch must not be 1.",
        )
        shape = _dims(outputs["logits"])
        report.expect(
            f"logits are [batch, {_LABELS}]: a dynamic batch and no sequence axis",
            len(shape) == 2 and not _fixed(shape[0]) and shape[1] == _LABELS,
            0.5,
            f"logits are {shape}",
            "a classifier gives one row a text; only axis 0 follows the input.",
        )
        opset = next((o.version for o in proto.opset_import if o.domain in ("", "ai.onnx")), 0)
        report.expect(
            "opset 20, as asked",
            opset == 20,
            0.5,
            f"the file says opset {opset}; the exporter raises what is too old without an error",
            "opset_version=20, together with dynamo=True.",
        )
        if not outside:
            problem = _same_numbers(path, wanted)
            report.expect(
                "the graph computes what PyTorch computes, also for shapes other than the example's",
                not problem,
                1.0,
                problem,
                "give the exporter two different tensors (one for both makes the graph ignore one), a batch of 2 or"
                " more, and the model as it is.",
            )


def _fixed(dim: str | int) -> bool:
    """Whether a dimension of an ONNX tensor is a number (or missing) and not a name."""
    return not isinstance(dim, str)


_Answer = tuple[np.ndarray, np.ndarray, np.ndarray]  # input_ids, attention_mask, logits


def _answers(model: Any) -> list[_Answer]:
    """What PyTorch says for shapes that no example has."""
    import torch

    found = []
    for seed, (rows, length) in enumerate(((1, 7), (5, 33))):
        ids, mask = _batch(rows, length, seed)
        mask[:, 0] = 1
        with torch.inference_mode():
            reply = model(input_ids=torch.from_numpy(ids), attention_mask=torch.from_numpy(mask)).logits.numpy()
        found.append((ids, mask, reply))
    return found


def _same_numbers(path: Path, wanted: list[_Answer]) -> str:
    """How ONNX Runtime's logits differ from PyTorch's; empty where they do not."""
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.log_severity_level = 4
    try:
        session = ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        for ids, mask, logits in wanted:
            problem = differs(session.run(["logits"], {"input_ids": ids, "attention_mask": mask})[0], logits, 1e-4)
            if problem:
                return f"at batch {ids.shape[0]} and {ids.shape[1]} tokens: {problem}"
    except Exception as error:  # ONNX Runtime's types
        return words(error)
    return ""


# --- ex1/parse ------------------------------------------------------------------------------------------------------


def _parse(parse_network: Callable[..., Any], report: Report) -> None:
    import tensorrt as trt

    with _folder() as folder:
        good, cut, unknown = folder / "good.onnx", folder / "cut.onnx", folder / "unknown.onnx"
        good.write_bytes(_classifier())
        cut.write_bytes(_classifier()[: len(_classifier()) // 2])
        unknown.write_bytes(_unknown_operator())

        logger = _quiet_logger()
        builder = trt.Builder(logger)
        network = report.call("a good file is parsed", parse_network, builder, good, logger)
        inputs = (
            [network.get_input(i).name for i in range(network.num_inputs)]
            if isinstance(network, trt.INetworkDefinition)
            else None
        )
        report.expect(
            "a good file gives its network",
            inputs == ["tokens", "mask"] and network.num_outputs == 1,
            1.0,
            f"the network has inputs {inputs}" if inputs is not None else f"{type(network).__name__} was returned",
            "return the network that create_network gave and the parser filled.",
        )

        error = report.raises(parse_network, trt.Builder(logger), cut, logger)
        report.expect(
            "a file that is cut off raises an error",
            error is not None,
            1.0,
            "no exception: the function returned as if the file were good",
            "parser.parse returns False; look at it and raise.",
        )

        builder = trt.Builder(logger)
        network = builder.create_network(1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED))
        parser = trt.OnnxParser(network, logger)
        parser.parse(_unknown_operator())
        reason = parser.get_error(0).desc()
        error = report.raises(parse_network, trt.Builder(logger), unknown, logger)
        report.expect(
            "the error says what the parser said first",
            error is not None and _squeezed(reason) in _squeezed(str(error)),
            1.0,
            "no exception" if error is None else words(error),
            f"the text should hold parser.get_error(0).desc(), here: {_squeezed(reason)[:110]}",
        )


def _squeezed(text: str) -> str:
    return " ".join(text.split())


# --- ex1/profile ----------------------------------------------------------------------------------------------------


def _profiles(add_profile: Callable[..., Any], report: Report) -> None:
    import tensorrt as trt

    smallest, usual, largest = (2, 8), (4, 8), (16, 8)
    ground = _ground(_three_inputs())
    index = report.call(
        "a profile is added", add_profile, ground.builder, ground.config, ground.network, smallest, usual, largest
    )
    plan = ground.builder.build_serialized_network(ground.network, ground.config)
    built = report.expect(
        "every input of the network is in the profile, and the network builds with it",
        plan is not None,
        1.0,
        ground.logger.errors[0] if ground.logger.errors else "the build returned None",
        "set a shape for each network.get_input(i).name, then config.add_optimization_profile(profile).",
    )
    if built:
        engine = trt.Runtime(ground.logger).deserialize_cuda_engine(plan)
        names = [ground.network.get_input(i).name for i in range(ground.network.num_inputs)]
        shapes = {name: [tuple(s) for s in engine.get_tensor_profile_shape(name, 0)] for name in names}
        narrow = {
            name: s
            for name, s in shapes.items()
            if any(a > b for a, b in zip(s[0], smallest, strict=True))
            or any(a < b for a, b in zip(s[2], largest, strict=True))
        }
        report.expect(
            "it reaches from the smallest to the largest shape that was asked for",
            not narrow,
            1.0,
            ", ".join(f"{name}: {s[0]} to {s[2]}, asked {smallest} to {largest}" for name, s in narrow.items()),
            "set_shape(name, min, opt, max), in this order, for the arguments as they come.",
        )
        other = {name: s[1] for name, s in shapes.items() if s[1] != usual}
        report.expect(
            "it is made for the usual shape",
            not other,
            0.5,
            ", ".join(f"{name}: {shape}, asked {usual}" for name, shape in other.items()),
            "the usual shape is the second of the three.",
        )
    second = _ground(_three_inputs())
    error = report.raises(add_profile, second.builder, second.config, second.network, largest, usual, smallest)
    report.expect(
        "the index is returned, and a profile that TensorRT refuses (smallest above largest) raises a ValueError",
        index == 0 and isinstance(error, ValueError),
        0.5,
        f"{index!r} was returned for the first profile; the refused one: {words(error) if error else 'no exception'}",
        "add_optimization_profile returns the index, 0 for the first, and -1 where it refuses: compare with < 0.",
    )


# --- ex1/build ------------------------------------------------------------------------------------------------------


def _build(build_plan: Callable[..., Any], report: Report) -> None:
    import tensorrt as trt

    workspace = 300 << 20
    ground = _ground(_classifier())
    _profile(ground, (1, 4), (4, 8), (8, 12))
    with _folder() as folder:
        path = folder / "good.plan"
        size = report.call(
            "a good network is built", build_plan, ground.builder, ground.network, ground.config, path, workspace
        )
        data = path.read_bytes() if path.is_file() else b""
        engine = trt.Runtime(ground.logger).deserialize_cuda_engine(data) if data else None
        report.expect(
            "the file holds a plan that the runtime takes",
            engine is not None,
            0.5,
            ground.logger.errors[-1] if ground.logger.errors else f"{len(data)} bytes at the given path",
            "write what build_serialized_network returned, in binary, and nothing else.",
        )
        settings, nbytes = _settings(ground.config, data)
        report.expect(
            "the size of the plan is returned",
            isinstance(size, int) and size in (nbytes, len(data)) and size > 0,
            0.5,
            f"{size!r} was returned, the plan has {nbytes:,} bytes",
            "return plan.nbytes.",
        )
        report.expect(
            "the workspace limit is the one that was asked for",
            settings["workspace"] == workspace,
            1.0,
            f"{settings['workspace']:,} bytes, asked for {workspace:,}",
            "config.set_memory_pool_limit(trt.MemoryPoolType.WORKSPACE, workspace), before the build.",
        )
        report.expect(
            "TF32 is off",
            not settings["tf32"],
            1.0,
            "the flag TF32 is set, as it is by default",
            "config.clear_flag(trt.BuilderFlag.TF32), before the build.",
        )

        bad = _ground(_classifier())  # no profile: NVIDIA's builder returns None
        path = folder / "old.plan"
        path.write_bytes(b"the last good plan")
        error = report.raises(build_plan, bad.builder, bad.network, bad.config, path, workspace)
        report.expect(
            "a build that fails raises an error",
            error is not None,
            0.5,
            "no exception, though build_serialized_network returned None",
            "compare the result with None before you use it.",
        )
        kept = path.is_file() and path.read_bytes() == b"the last good plan"
        report.expect(
            "and leaves the last good plan alone",
            kept,
            0.5,
            f"the old file has {path.stat().st_size} bytes now" if path.is_file() else "the old file is gone",
            "open the file for writing only after the build has succeeded.",
        )


def _settings(config: Any, data: bytes) -> tuple[dict[str, Any], int]:
    """What the plan was built with, and its size: from the plan where it says so, else from the config."""
    import tensorrt as trt

    from helpers.simulator.plan import MAGIC, PlanError, open_plan

    if data.startswith(MAGIC):  # the simulator's builder made it, whatever device will run it
        try:
            plan = open_plan(data)
        except PlanError:
            return {"workspace": 0, "tf32": True}, 0
        pools, flags = plan.settings["memory_pools"], plan.settings["flags"]
        return {"workspace": pools["WORKSPACE"], "tf32": "TF32" in flags}, len(plan.nvidia)
    found = {
        "workspace": config.get_memory_pool_limit(trt.MemoryPoolType.WORKSPACE),
        "tf32": config.get_flag(trt.BuilderFlag.TF32),
    }
    return found, len(data)


# --- ex1/buffers ----------------------------------------------------------------------------------------------------


def _buffers(allocate_buffers: Callable[..., Any], report: Report) -> None:
    import tensorrt as trt

    _need_context()
    plan = _plan(_three_inputs(), (1, 4), (4, 8), (12, 10))
    needed = {
        "tokens": (120, np.int64),
        "mask": (120, np.int64),
        "weights": (120, np.float32),
        "score": (12, np.float16),
    }
    runtime = trt.Runtime(_quiet_logger())
    engine = runtime.deserialize_cuda_engine(plan)
    context = engine.create_execution_context()
    before = _mark()
    buffers = report.call("buffers are made", allocate_buffers, engine, context)
    events = _events(before)

    missing = sorted(set(needed) - set(buffers))
    if not report.expect(
        "every input and output has a buffer, by its name",
        not missing,
        0.5,
        f"missing: {', '.join(missing)}",
        "go through engine.num_io_tensors and engine.get_tensor_name(i); outputs need buffers too.",
    ):
        return
    hosts = {name: buffers[name].host for name in needed}
    wrong = {name: h.dtype for name, h in hosts.items() if h.dtype != needed[name][1]}
    report.expect(
        "each host array has the element type that the engine reports",
        not wrong,
        0.5,
        ", ".join(f"{name} is {dtype}, expected {np.dtype(needed[name][1])}" for name, dtype in wrong.items()),
        "trt.nptype(engine.get_tensor_dtype(name)); int64 read from int32 is nonsense.",
    )
    small = {name: h.size for name, h in hosts.items() if h.size < needed[name][0]}
    report.expect(
        "each holds the profile's largest shape",
        not small,
        1.0,
        ", ".join(f"{name} has {size} elements, needs {needed[name][0]}" for name, size in small.items()),
        "set the largest shape, get_tensor_profile_shape(name, 0)[2], for all inputs; then ask the context.",
    )
    if not _simulated():  # pragma: no cover - needs a GPU
        report.skip("host memory is pinned", 1.0, _NO_RECORD)
        report.skip("device memory is large enough", 1.0, _NO_RECORD)
        return
    from helpers.simulator import host as simulated

    pageable = [
        name for name, h in hosts.items() if simulated.current().find_pinned(h.__array_interface__["data"][0]) is None
    ]
    report.expect(
        "all host memory is pinned",
        not pageable,
        1.0,
        f"pageable: {', '.join(pageable)}",
        "cuda.pagelocked_empty instead of np.empty; from pageable memory a copy holds the program up.",
    )
    allocated = {event["address"]: event["nbytes"] for event in events if event["op"] == "alloc"}
    sizes = {name: allocated.get(int(buffers[name].device), 0) for name in needed}
    short = {name: size for name, size in sizes.items() if size < needed[name][0] * np.dtype(needed[name][1]).itemsize}
    report.expect(
        "device memory is as large as the largest shape needs",
        not short,
        1.0,
        ", ".join(
            f"{name}: {size} bytes, needs {needed[name][0] * np.dtype(needed[name][1]).itemsize}"
            for name, size in short.items()
        ),
        "cuda.mem_alloc(host.nbytes): bytes, not elements.",
    )


# --- ex1/enqueue ----------------------------------------------------------------------------------------------------


def _enqueue(enqueue: Callable[..., Any], report: Report) -> None:
    largest = (16, 12)
    good = _Engine(_plan(_classifier(), (2, 4), (4, 8), largest), {"tokens": largest, "mask": largest})
    problems, copies, waits = [], [], []
    for seed, shape in enumerate((largest, (3, 12), (5, 7))):
        tokens, mask = _batch(*shape, seed)
        before = _mark()
        outputs = report.call(
            f"a batch of {shape[0]} runs",
            enqueue,
            good.context,
            good.buffers,
            good.stream,
            {"tokens": tokens, "mask": mask},
            log=good.logger.errors,
        )
        events = _events(before)
        try:
            problem = differs(outputs["scores"], _expected(tokens, mask), 1e-4)
        except (KeyError, TypeError, IndexError) as absent:
            problem = f"no output 'scores' in what was returned ({words(absent)})"
        if problem:
            problems.append(f"batch {shape[0]}: {problem}{said(good.logger.errors)}")
        copies.append((shape, events))
        waits.append(_waits(events))
        _settle(good)
    report.expect(
        "outputs are right for batches of 16, 3 and 5, one after the other",
        not problems,
        1.5,
        "; ".join(problems),
        "NaN: read before stream.synchronize(). A wrong shape or old rows: set shapes and slice for this batch.",
    )

    refused = dict(zip(("tokens", "mask"), _batch(17, 12, 9), strict=True))
    error = report.raises(enqueue, good.context, good.buffers, good.stream, refused)
    _settle(good)
    report.expect(
        "a batch outside the profile raises a ValueError",
        isinstance(error, ValueError) and "could not broadcast" not in str(error),
        1.0,
        "no exception" if error is None else f"another error, or one by accident: {words(error)}",
        "set_input_shape returns False; raise a ValueError then, before anything is copied. Later cells catch it.",
    )
    if not _simulated():  # pragma: no cover - needs a GPU
        for what, weight in (("copies are asynchronous", 1.0), ("only the batch is copied", 1.5), ("one wait", 1.0)):
            report.skip(what, weight, _NO_RECORD)
        return

    sync = {
        f"{event['op']} {event['tensor'] or ''} {event['memory']}".replace("  ", " ")
        for _, events in copies
        for event in events
        if event["op"] in ("htod", "dtoh") and event["memory"] != "pinned"
    }
    moved = sum(event["op"] in ("htod", "dtoh") for _, events in copies for event in events)
    report.expect(
        "all copies are asynchronous, from and to pinned memory",
        not sync and moved > 0,
        1.0,
        "; ".join(sorted(sync)) if moved else "nothing was copied",
        "copy to and from the buffers' own host arrays with memcpy_htod_async and memcpy_dtoh_async.",
    )
    wrong = []
    for (rows, length), events in copies:
        wanted = {"htod": 2 * rows * length * 8, "dtoh": rows * _LABELS * 4}
        for op, nbytes in wanted.items():
            seen = sum(event["nbytes"] for event in events if event["op"] == op)
            if seen != nbytes:
                direction = "to the device" if op == "htod" else "back"
                wrong.append(f"batch {rows}: {seen:,} bytes {direction}, expected {nbytes:,}")
    report.expect(
        "exactly the bytes of the batch are copied",
        not wrong,
        1.5,
        "; ".join(wrong),
        "copy host[:n] with n elements of this batch, not the whole buffer.",
    )
    report.expect(
        "one synchronisation for each batch, after all its work was enqueued",
        all(problem == "" for problem in waits),
        1.0,
        "; ".join(sorted({problem for problem in waits if problem})),
        "stream.synchronize() once, at the end. A blocking copy waits too.",
    )


def _waits(events: list[dict[str, Any]]) -> str:
    """What is wrong about the waits among the events of one batch; empty where nothing is."""
    waits = [event["index"] for event in events if event["op"] == "synchronize"]
    work = [event["index"] for event in events if event["op"] in ("htod", "execute", "dtoh")]
    if len(waits) != 1:
        return f"{len(waits)} waits for a batch"
    if work and waits[0] < work[-1]:
        return "the wait comes before the last work was enqueued"
    return ""


def _settle(good: _Engine) -> None:
    """Finish what a wrong answer left behind, so that it cannot disturb the next batch."""
    try:
        good.stream.synchronize()
    except Exception:  # an error of the student's work, already visible in its results
        pass


# --- ex1/benchmark --------------------------------------------------------------------------------------------------


def _benchmark(fair_benchmark: Callable[..., Any], report: Report) -> None:
    largest = (16, 12)
    good = _Engine(_plan(_classifier(), (2, 4), (4, 8), largest), {"tokens": largest, "mask": largest})
    batches = [_batch(rows, 12, seed) for seed, rows in enumerate((16, 16, 16, 5))]
    calls: list[tuple[int, float, float]] = []

    def run(tokens: np.ndarray, mask: np.ndarray) -> np.ndarray:
        start = time.perf_counter()
        result = good.run(tokens, mask)
        calls.append((len(tokens), start, time.perf_counter()))
        return result

    run(*batches[0])
    calls.clear()
    before = _mark()
    budget = 0.1
    result = report.call("the benchmark runs", fair_benchmark, run, batches, budget)
    events = _events(before)

    keys = ("median_ms", "p5_ms", "p95_ms", "runs", "samples", "samples_per_second")
    values = {key: _finite(result.get(key)) if isinstance(result, Mapping) else None for key in keys}
    bad = [key for key, value in values.items() if value is None or value <= 0]
    if not report.expect(
        "it returns the six figures, all of them positive",
        not bad,
        0.5,
        f"missing or not positive: {', '.join(bad)}",
        f"a dictionary with {', '.join(keys)}.",
    ):
        return
    figures = {key: value for key, value in values.items() if value is not None}
    runs = int(figures["runs"])
    enough = report.expect(
        "at least 5 runs were timed, for as long as asked",
        5 <= runs <= len(calls) and sum(end - start for _, start, end in calls[-runs:]) >= 0.5 * budget,
        0.5,
        f"runs is {runs}, run was called {len(calls)} times"
        f", {sum(end - start for _, start, end in calls):.3f} s in all; asked for {budget} s",
        "go round the batches until the times add up to `seconds`; count only what was timed.",
    )
    warm, timed = calls[: len(calls) - runs], calls[len(calls) - runs :]
    cold = [rows for rows in (16, 5) if sum(r == rows for r, _, _ in warm) < 2]
    report.expect(
        "each shape, also the smaller last batch, is warmed up at least twice before the clock starts",
        not cold,
        1.0,
        f"not warmed up: batches of {', '.join(map(str, cold))} rows ({len(warm)} untimed runs in all)",
        "one warm-up for each distinct shape among the batches; the first run of a shape is never typical.",
    )
    if not enough:
        return
    rows = sum(r for r, _, _ in timed)
    report.expect(
        "samples are the rows that were really processed, the last batch with its own",
        figures["samples"] == rows,
        1.0,
        f"{figures['samples']:,.0f} counted, {rows:,} processed",
        "len(batch) of each timed batch; a last batch of 5 is 5.",
    )
    inside = sum(end - start for _, start, end in timed)
    span = timed[-1][2] - timed[0][1]
    clock = figures["samples"] / figures["samples_per_second"]
    report.expect(
        "samples a second are samples by the time that all timed runs took",
        0.97 * inside <= clock <= 1.05 * span + 0.005,
        1.0,
        f"the figures imply {clock * 1000:.1f} ms on the clock; the runs took {inside * 1000:.1f} ms",
        "start the clock before run, stop it after run, add up; nothing else in between.",
    )
    slowest, quickest = max(e - s for _, s, e in timed) * 1000, min(e - s for _, s, e in timed) * 1000
    report.expect(
        "median, p5 and p95 are of the times of a batch, in milliseconds",
        figures["p5_ms"] <= figures["median_ms"] <= figures["p95_ms"]
        and 0.97 * quickest <= figures["median_ms"] <= 1.05 * slowest + 1,
        0.5,
        f"p5 {figures['p5_ms']:.3f}, median {figures['median_ms']:.3f}, p95 {figures['p95_ms']:.3f}; "
        f"batches took {quickest:.3f} to {slowest:.3f} ms",
        "np.percentile(times, [5, 50, 95]), times 1,000.",
    )
    if not _simulated():  # pragma: no cover - needs a GPU
        report.skip("the device does only what run asks for", 0.5, _NO_RECORD)
        return
    executions = sum(event["op"] == "execute" for event in events)
    others = len([e for e in events if e["op"] in ("alloc", "host_alloc", "htod", "dtoh", "synchronize")])
    report.expect(
        "the device does only what `run` asks for: no further copies, waits or allocations",
        executions == len(calls) and others == 4 * len(calls),
        0.5,
        f"{executions} executions and {others} copies, waits and allocations for {len(calls)} calls of run",
        "call run and read the clock; copying and waiting are its business.",
    )


def _finite(value: Any) -> float | None:
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    return number if np.isfinite(number) else None


CHECKS = (
    Check("ex1/export", "PyTorch to ONNX", 4, "export_onnx", _export, slow="exporting a small model, about 4 seconds"),
    Check("ex1/parse", "ONNX to a network", 3, "parse_network", _parse),
    Check("ex1/profile", "the optimization profile", 3, "add_profile", _profiles),
    Check("ex1/build", "the build", 4, "build_plan", _build),
    Check("ex1/buffers", "pinned and device memory", 4, "allocate_buffers", _buffers),
    Check("ex1/enqueue", "one inference", 6, "enqueue", _enqueue),
    Check("ex1/benchmark", "a fair benchmark", 5, "fair_benchmark", _benchmark),
)
