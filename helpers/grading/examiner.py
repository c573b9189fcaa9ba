"""Facts about bytes and about the device, for checks that believe nothing else.

In the notebook an `Examiner` works in this process. In a graded run it works in the device's process, which alone opens
plans and ONNX files, and its arguments and results cross a socket: all of them are plain data (`helpers/messages.py`).
Nothing here knows a check, a student's object or a secret.
"""

from __future__ import annotations

import hashlib
import sys
import warnings
from collections import OrderedDict
from typing import Any

import numpy as np

from ..simulator.device import DeviceError
from ..simulator.plan import MAGIC, Plan, PlanError, open_plan
from .subject import quiet_logger

RUNTIME = "runtime"
TRUE_FP16 = "true fp16"

_KEPT = 32  # plans that `build` remembers
_PRODUCTS = ("MatMul", "Gemm", "Conv", "Einsum", "Attention")


class Examiner:
    """What bytes are, what they compute, and what the device did.

    Args:
        device: the simulated device that is asked; None for the one that this process uses.

    Where a real GPU or a child process runs the plans, there is no record: `has_record` is False, and the methods of
    the record and of memory must not be called.
    """

    def __init__(self, device: Any = None) -> None:
        self._device = device
        self._plans: OrderedDict[str, bytes] = OrderedDict()

    @property
    def device(self) -> Any:
        if self._device is not None:
            return self._device
        from ..simulator import host

        return host.current().device

    @property
    def has_record(self) -> bool:
        """Whether the device keeps a record, and tells what is allocated and pinned."""
        if self._device is None:
            from .. import backend

            active = backend.current()
            if active is None or not active.simulated:
                return False
        return hasattr(self.device, "fill_pinned")

    # --- plans ----------------------------------------------------------------------------------------------------

    def build(self, onnx: bytes, profile: dict[str, list[list[int]]]) -> bytes:
        """A good plan of a model, strongly typed, with one profile: {input: [min, opt, max]}.

        Raises:
            ValueError: it does not parse or does not build.
        """
        key = hashlib.sha256(onnx + repr(sorted(profile.items())).encode()).hexdigest()
        if key not in self._plans:
            self._plans[key] = self._build(onnx, profile)
            while len(self._plans) > _KEPT:
                self._plans.popitem(last=False)
        return self._plans[key]

    @staticmethod
    def _build(onnx: bytes, profile: dict[str, list[list[int]]]) -> bytes:
        trt = _tensorrt()
        logger = quiet_logger(trt)
        builder = trt.Builder(logger)
        network = builder.create_network(_strongly_typed(trt))
        parser = trt.OnnxParser(network, logger)
        if not parser.parse(onnx):
            raise ValueError(f"the model does not parse: {parser.get_error(0).desc()}")
        config = builder.create_builder_config()
        shapes = builder.create_optimization_profile()
        for name, (low, best, high) in profile.items():
            shapes.set_shape(name, tuple(low), tuple(best), tuple(high))
        config.add_optimization_profile(shapes)
        plan = builder.build_serialized_network(network, config)
        if plan is None:
            raise ValueError(f"the model does not build: {_shortened(logger.errors[:1])}")
        return bytes(plan)

    def plan(self, data: bytes, rebuild: bool) -> dict[str, Any]:
        """What a plan holds and how it was built.

        Args:
            rebuild: build it again from what it carries. Only then is what it says of itself proved.

        Returns:
            problem: why it is no good plan; empty where it is one.
            onnx: SHA-256 of the ONNX model inside. profiles: {input: [min, opt, max]} each. tensors: [name, mode,
            dtype, shape]. workspace: bytes, or None where it is not known (a plan for a real GPU). flags: names, or
            None. size: bytes of NVIDIA's plan. weights: bytes. settings: all of them.
        """
        facts: dict[str, Any] = {
            "problem": "",
            "onnx": "",
            "profiles": [],
            "tensors": [],
            "workspace": None,
            "flags": None,
            "size": 0,
            "weights": 0,
            "settings": {},
        }
        if data and not data.startswith(MAGIC) and self._native():  # pragma: no cover - needs a GPU
            return facts | self._native_plan(data)
        try:
            plan = open_plan(data)
            facts |= _described(plan)
            if rebuild:
                facts["problem"] = _difference(plan, data)
        except PlanError as error:
            facts["problem"] = _short(error)
        except (TypeError, ValueError, KeyError, AttributeError) as error:  # a manifest of odd values
            facts["problem"] = f"the plan's manifest cannot be read: {_short(error)}"
        return facts

    @staticmethod
    def _native() -> bool:
        from .. import backend

        active = backend.current()
        return active is not None and active.name != "simulator"

    @staticmethod
    def _native_plan(data: bytes) -> dict[str, Any]:  # pragma: no cover - needs a GPU
        """What NVIDIA's runtime tells of a plan of its own; the ONNX model and the settings are not in it."""
        trt = _tensorrt()
        logger = quiet_logger(trt)
        engine = trt.Runtime(logger).deserialize_cuda_engine(data)
        if engine is None:
            return {"problem": _shortened(logger.errors[-1:]) or "the runtime does not take it"}
        names = [engine.get_tensor_name(i) for i in range(engine.num_io_tensors)]
        inputs = [name for name in names if engine.get_tensor_mode(name) == trt.TensorIOMode.INPUT]
        return {
            "size": len(data),
            "tensors": [
                [
                    name,
                    engine.get_tensor_mode(name).name,
                    engine.get_tensor_dtype(name).name,
                    list(engine.get_tensor_shape(name)),
                ]
                for name in names
            ],
            "profiles": [
                {name: [list(shape) for shape in engine.get_tensor_profile_shape(name, i)] for name in inputs}
                for i in range(engine.num_optimization_profiles)
            ],
        }

    def parse_error(self, onnx: bytes) -> str:
        """What NVIDIA's parser says first of a model that it refuses; empty where it takes it."""
        trt = _tensorrt()
        logger = quiet_logger(trt)
        builder = trt.Builder(logger)
        network = builder.create_network(_strongly_typed(trt))
        parser = trt.OnnxParser(network, logger)
        if parser.parse(onnx):
            return ""
        return str(parser.get_error(0).desc()) if parser.num_errors else "it does not parse"

    # --- ONNX -----------------------------------------------------------------------------------------------------

    def onnx(self, data: bytes) -> dict[str, Any]:
        """What an ONNX file declares.

        Returns:
            problem: why it is no valid model; empty where it is one. inputs, outputs: {name: [dtype name, [dimension:
            a name, a number, or "" where nothing is said]]}. opset. external: names of tensors that are kept in another
            file. initializers: {dtype name: bytes}, with the values of Constant nodes. products: {dtype name: number
            of matrix products with such a result}; activations: the same of all operators but casts. subgraphs:
            operators with a graph inside (If, Loop, Scan). shapes: [dimensions] of each matrix product's result, as far
            as they are known. These five count what an output depends on, with functions written out. nodes. sha256.
        """
        import onnx

        facts: dict[str, Any] = {
            "problem": "",
            "inputs": {},
            "outputs": {},
            "opset": 0,
            "external": [],
            "initializers": {},
            "products": {},
            "activations": {},
            "subgraphs": [],
            "shapes": [],
            "nodes": 0,
            "sha256": hashlib.sha256(data).hexdigest(),
        }
        try:
            outside = _external(data)
            proto = onnx.load_model_from_string(data)
        except Exception as error:  # onnx raises its own types, protobuf others
            return facts | {"problem": _short(error)}
        facts |= {
            "external": outside[:20],
            "opset": next((int(o.version) for o in proto.opset_import if o.domain in ("", "ai.onnx")), 0),
            "nodes": len(proto.graph.node),
            "inputs": {t.name: _declared(t) for t in proto.graph.input},
            "outputs": {t.name: _declared(t) for t in proto.graph.output},
        }
        if outside:
            return facts
        try:
            onnx.checker.check_model(proto, full_check=True)
            live = _live(proto)
            facts["initializers"] = _held(live)
            facts["products"], facts["activations"], facts["shapes"] = _results(live)
            facts["subgraphs"] = _subgraphs(live)
        except Exception as error:
            facts["problem"] = _short(error)
        return facts

    def run_onnx(self, data: bytes, feeds: dict[str, np.ndarray], arithmetic: str) -> dict[str, Any]:
        """Run a model.

        Args:
            feeds: array by input name.
            arithmetic: "runtime" is ONNX Runtime on the CPU, "true fp16" the reference evaluator, which rounds every
                operator's result to the dtype that the graph gives it.

        Returns:
            problem: why it did not run, or the first operator whose result is infinite or undefined. outputs: array by
            name, as far as they are there.
        """
        if arithmetic not in (RUNTIME, TRUE_FP16):
            raise ValueError(f"no arithmetic {arithmetic!r}")
        try:
            outside = _external(data)
            if outside:
                return {"problem": f"tensors are kept in another file: {', '.join(outside[:4])}", "outputs": {}}
            return self._runtime(data, feeds) if arithmetic == RUNTIME else _reference(data, feeds)
        except Exception as error:  # ONNX Runtime's and NumPy's types
            return {"problem": _short(error), "outputs": {}}

    def _runtime(self, data: bytes, feeds: dict[str, np.ndarray]) -> dict[str, Any]:
        import onnxruntime as ort

        options = ort.SessionOptions()
        options.log_severity_level = 4
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        options.intra_op_num_threads = getattr(self._device, "threads", 0)
        session = ort.InferenceSession(data, options, providers=["CPUExecutionProvider"])
        names = [item.name for item in session.get_outputs()]
        arrays = session.run(names, feeds)
        return {"problem": "", "outputs": {n: a for n, a in zip(names, arrays, strict=True) if _sendable(a)}}

    # --- the device -----------------------------------------------------------------------------------------------

    def record_length(self) -> int:
        return int(self.device.record_length())

    def record(self, since: int) -> list[dict[str, Any]]:
        """The device's events from index `since` on."""
        return list(self.device.record(since))

    def keep_digests(self, on: bool) -> None:
        """Have executions and copies recorded with the SHA-256 of their bytes."""
        self.device.keep_digests(on)

    def allocation(self, address: int) -> int:
        """Bytes of the live device allocation that begins at `address`; 0 if there is none."""
        return int(self.device.allocation(address))

    def pinned(self, ident: int) -> int:
        """Bytes of a piece of pinned memory; 0 if there is none."""
        return int(self.device.pinned(ident))

    def fill_pinned(self, ident: int, offset: int, data: bytes) -> bool:
        """Write into pinned memory; False where there is no such place."""
        try:
            self.device.fill_pinned(ident, offset, data)
        except DeviceError:
            return False
        return True

    def settle(self) -> None:
        """Run everything that is queued, and forget its errors."""
        self.device.settle()

    def memory_used(self) -> int:
        """Bytes of device memory in use."""
        free, total = self.device.mem_get_info()
        return int(total - free)


def _tensorrt() -> Any:
    """The TensorRT of this process; the simulator's where none is active."""
    active = sys.modules.get("tensorrt")
    if active is not None and hasattr(active, "Builder"):
        return active
    from ..simulator.frontends import tensorrt

    return tensorrt.module()


def _strongly_typed(trt: Any) -> int:
    return 1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED)


def _shortened(errors: list[str]) -> str:
    return "; ".join(" ".join(text.split())[:300] for text in errors)


def _described(plan: Plan) -> dict[str, Any]:
    settings = dict(plan.settings)
    return {
        "onnx": hashlib.sha256(plan.onnx).hexdigest(),
        "profiles": [{name: [list(s) for s in shapes] for name, shapes in p.items()} for p in plan.profiles],
        "tensors": [[t.name, t.mode, t.dtype, list(t.shape)] for t in plan.tensors],
        "workspace": int(settings["memory_pools"]["WORKSPACE"]),
        "flags": [str(flag) for flag in settings["flags"]],
        "size": len(plan.nvidia),
        "weights": plan.weight_bytes,
        "settings": settings,
    }


def _difference(plan: Plan, data: bytes) -> str:
    """What differs between a plan and the one that is built from what it carries; empty where nothing does."""
    from ..simulator.builder import rebuild

    again = rebuild(plan)
    if again == data:
        return ""
    built = open_plan(again)
    claimed, true = plan.description(), built.description()
    wrong = [key for key in true if claimed.get(key) != true[key]]
    if wrong:
        return f"built again from what it carries, the plan differs in {', '.join(wrong)}"
    return (
        f"built again from what it carries, NVIDIA's part differs: {len(built.nvidia):,} and {len(plan.nvidia):,} bytes"
    )


def _external(data: bytes) -> list[str]:
    from ..simulator.builder import external_tensors

    return external_tensors(data)


def _declared(tensor: Any) -> list[Any]:
    import onnx

    kind = tensor.type.tensor_type
    dims = [d.dim_param or (int(d.dim_value) if d.HasField("dim_value") else "") for d in kind.shape.dim]
    return [onnx.TensorProto.DataType.Name(kind.elem_type), dims]


def _live(proto: Any) -> Any:
    """The model with its functions written out, and without what no output depends on."""
    import onnx
    import onnx.inliner

    live = onnx.ModelProto()
    live.CopyFrom(onnx.inliner.inline_local_functions(proto) if proto.functions else proto)
    wanted = {t.name for t in live.graph.output}
    nodes = []
    for node in reversed(live.graph.node):  # a graph is sorted: who uses a tensor stands behind who makes it
        if wanted & set(node.output):
            wanted |= {*node.input, *_captured(node)}
            nodes.append(node)
    kept = [t for t in live.graph.initializer if t.name in wanted]
    nodes.reverse()
    for field, values in (("node", nodes), ("initializer", kept)):
        copies = [type(value).FromString(value.SerializeToString()) for value in values]
        live.graph.ClearField(field)
        getattr(live.graph, field).extend(copies)
    return live


def _captured(node: Any) -> set[str]:
    """Names that the graphs inside a node take from outside (and those that they use within)."""
    inner = [n for a in node.attribute for g in (a.g, *a.graphs) for n in g.node]
    return {name for n in inner for name in (*n.input, *_captured(n))}


def _subgraphs(proto: Any) -> list[str]:
    return [n.op_type for n in proto.graph.node if any(a.g.node or a.graphs for a in n.attribute)][:20]


def _held(proto: Any) -> dict[str, int]:
    """Bytes of all constants of a graph, by dtype."""
    import onnx
    from onnx import numpy_helper

    found: dict[str, int] = {}
    constants = [a for n in proto.graph.node if n.op_type == "Constant" for a in n.attribute]
    tensors = [*proto.graph.initializer, *(a.t for a in constants if a.name == "value")]
    tensors += [t.values for t in proto.graph.sparse_initializer]
    tensors += [a.sparse_tensor.values for a in constants if a.name == "sparse_value"]
    for tensor in tensors:
        name = onnx.TensorProto.DataType.Name(tensor.data_type)
        found[name] = found.get(name, 0) + int(numpy_helper.to_array(tensor).nbytes)
    floats = sum(len(a.floats) or 1 for a in constants if a.name in ("value_float", "value_floats"))
    if floats:
        found["FLOAT"] = found.get("FLOAT", 0) + 4 * floats
    return found


def _results(proto: Any) -> tuple[dict[str, int], dict[str, int], list[list[Any]]]:
    """Matrix products, and all operators but casts and constants, by their result's dtype; the products' shapes."""
    import onnx

    inferred = onnx.shape_inference.infer_shapes(proto, strict_mode=False).graph
    told = {t.name: t for t in (*inferred.value_info, *inferred.output, *inferred.input)}
    known = {name: t.type.tensor_type.elem_type for name, t in told.items()}
    shapes: list[list[Any]] = []
    products: dict[str, int] = {}
    activations: dict[str, int] = {}
    for node in inferred.node:
        name = onnx.TensorProto.DataType.Name(known.get(node.output[0], 0))
        if node.op_type in _PRODUCTS:
            products[name] = products.get(name, 0) + 1
            shapes += [_declared(told[node.output[0]])[1]] if node.output[0] in told else []
        if node.op_type not in ("Cast", "Constant"):
            activations[name] = activations.get(name, 0) + 1
    return products, activations, shapes[:1000]


def _reference(data: bytes, feeds: dict[str, np.ndarray]) -> dict[str, Any]:
    import onnx
    from onnx.reference import ReferenceEvaluator

    proto = onnx.load_model_from_string(data)
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        results = ReferenceEvaluator(proto).run(None, feeds, intermediate=True)
    outputs = {t.name: results[t.name] for t in proto.graph.output if _sendable(results.get(t.name))}
    for node in proto.graph.node:
        if node.op_type in ("Constant", "ConstantOfShape"):
            continue
        for name in node.output:
            value = results.get(name)
            if isinstance(value, np.ndarray) and value.dtype.kind == "f" and not np.isfinite(value).all():
                bad = int((~np.isfinite(value)).sum())
                what = (
                    f"{node.op_type} node {node.name or name!r} gives {bad} of {value.size} values that are not finite"
                )
                return {"problem": what, "outputs": outputs}
    return {"problem": "", "outputs": outputs}


def _sendable(value: Any) -> bool:
    return isinstance(value, np.ndarray) and value.dtype.kind in "fiub"


def _short(error: BaseException) -> str:
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text[:300]}" if text else type(error).__name__
