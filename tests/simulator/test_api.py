"""Every name, signature, enum value and return type of `tensorrt`, held against NVIDIA's module and TensorRT's listing.

The tests are generated from `tensorrt_rtx` (live) and from `trt_api.json`, the listing of TensorRT 11.4.0.106: one for
each class, in this process with NVIDIA's builder, and the same ones in a process of their own with the pure-Python
types (TRT_BUILDER=python).
"""

from __future__ import annotations

import inspect
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from helpers.simulator.native import BUILDER

from .conftest import BATCHES, build, linear_model

rtx = pytest.importorskip("tensorrt_rtx")

LISTING: dict[str, dict[str, str]] = json.loads(Path(__file__).with_name("trt_api.json").read_text())
# names of Python's own that NVIDIA's package leaves in its namespace
NO_API = {"attr", "value", "common_enter", "common_exit", "ctypes", "os", "sys", "warnings"}
NO_API |= {"tensorrt_rtx", "tensorrt_rtx_libs"}
# classes whose objects a user makes or gets, and so the ones whose every name counts
CLASSES = sorted(name for name in dir(rtx) if inspect.isclass(getattr(rtx, name)) and not name.startswith("_"))
ENUMS = [name for name in CLASSES if hasattr(getattr(rtx, name), "__members__")]
ALIASES = {"float32", "float16", "bfloat16", "int64", "int32", "int8", "int4", "uint8", "fp8", "fp4", "e8m0", "bool"}


def said(name: str, reach: Any) -> str:
    """The text of the AttributeError for a name that is not offered, which must explain itself."""
    with pytest.raises(AttributeError) as error:
        reach()
    text = str(error.value)
    assert repr(name) in text, text
    assert "TensorRT has it; the simulator does not offer it" in text or "removed it" in text, text
    assert re.search(r"Use |takes its place", text), text
    return text


def offers(owner: Any, name: str) -> bool:
    """Whether a name is there; where it is not, the error must explain it."""
    if hasattr(owner, name):
        return True
    said(name, lambda: getattr(owner, name))
    return False


def overloads(function: Any, name: str) -> list[tuple[list[str], list[str]]]:
    """(all keyword names, those that may be left out) of each overload, from the binding's docstring."""
    found = []
    for line in (function.__doc__ or "").splitlines():
        match = re.match(rf"(?:\d+\. )?{name}\((.*)\) -> ", line)
        if match and not match[1].startswith("*args"):
            parts = re.split(r", (?=\w+: )", match[1])[1:]
            names = [part.partition(":")[0] for part in parts]
            found.append((names, [n for n, part in zip(names, parts, strict=True) if " = " in part]))
    return found


@pytest.mark.parametrize("name", sorted(set(dir(rtx)) - NO_API))
def test_every_name_of_the_module(trt, name):
    if not name.startswith("_") and offers(trt, name) and name in ALIASES:
        assert getattr(trt, name) == trt.DataType(int(getattr(rtx, name)))


def test_a_name_that_tensorrt_never_had_is_not_explained(trt):
    with pytest.raises(AttributeError, match=r"^module 'tensorrt' has no attribute 'nonsense'$"):
        _ = trt.nonsense
    assert not hasattr(trt.BuilderFlag, "nonsense")


@pytest.mark.parametrize("name", sorted({*ENUMS} - ALIASES))
def test_every_enum(trt, name):
    if not offers(trt, name):
        return
    ours, theirs = getattr(trt, name), getattr(rtx, name)
    assert {k: int(v) for k, v in ours.__members__.items()} == {k: int(v) for k, v in theirs.__members__.items()}
    assert list(ours.__members__) == list(theirs.__members__)
    with pytest.raises(TypeError):
        iter(ours)  # neither NVIDIA's
    for key, member in ours.__members__.items():
        their = getattr(theirs, key)
        assert (repr(member), str(member), member.name, member.value, hash(member)) == (
            repr(their),
            str(their),
            their.name,
            their.value,
            hash(their),
        )
        assert isinstance(member, ours) and member == ours(int(member)) and getattr(ours, key) == member
        assert (member == int(member)) is (their == int(their))
    assert repr(ours(99)) == repr(theirs(99))
    for key, kind in LISTING.get(name, {}).items():
        if kind == "member":
            offers(ours, key)


@pytest.mark.parametrize("name", sorted({*CLASSES} - {*ENUMS}))
def test_every_class(trt, name):
    if not offers(trt, name):
        return
    ours, theirs = getattr(trt, name), getattr(rtx, name)
    names = {n for n in (*dir(theirs), *LISTING.get(name, ())) if not n.startswith("_")}
    names |= {n for n in ("__init__", "__getitem__", "__len__", "__enter__", "__exit__") if n in dir(theirs)}
    for member in sorted(names):
        if not offers(ours, member):
            continue
        mine = inspect.getattr_static(ours, member)
        their = inspect.getattr_static(theirs, member) if hasattr(theirs, member) else None
        if isinstance(their, property):
            assert isinstance(mine, property), f"{name}.{member} is no property"
            assert (mine.fget is None, mine.fset is None) == (their.fget is None, their.fset is None), member
        elif their is not None and callable(getattr(theirs, member)) and not inspect.isclass(their):
            assert callable(getattr(ours, member)), f"{name}.{member} cannot be called"
            if inspect.isfunction(mine) and f"{name}.{member}" not in OVERRIDDEN:  # else it is the binding's own
                check_signature(f"{name}.{member}", mine, overloads(getattr(theirs, member), member))


# the user's Python gets other arguments than the C++ function whose docstring stands there (pyCore.cpp)
OVERRIDDEN = {"IStreamReaderV2.read"}


def check_signature(what: str, function: Any, kinds: list[tuple[list[str], list[str]]]) -> None:
    signature = inspect.signature(function)
    allowed = set(list(signature.parameters)[1:])
    theirs = {name for names, _ in kinds for name in names}
    assert allowed == theirs or not kinds or "self" not in signature.parameters, f"{what}: {allowed} is not {theirs}"
    for names, optional in kinds:
        signature.bind(None, **dict.fromkeys(names))
        signature.bind(None, **{n: None for n in names if n not in optional})
        signature.bind(None, *names)  # and by position


# --- what calls return ---

ARGUMENTS = {
    "name": "x",
    "index": 0,
    "arg0": 0,
    "profile_index": 0,
    "stat": lambda trt: trt.EngineStat.TOTAL_WEIGHTS_SIZE,
    "format": lambda trt: trt.LayerInformationFormat.JSON,
    "layer_index": 0,
    "shape": (2, 8),
    "memory": 512,
    "size": 1 << 40,
    "event": 0,
    "stream_handle": 0,
    "aux_streams": [],
    "flag": lambda trt: trt.SerializationFlag.INCLUDE_REFIT,
    "listener": None,
    "output_allocator": None,
    "bindings": [0, 0],
    "strategy": lambda trt: trt.ExecutionContextAllocationStrategy.STATIC,
    "min_severity": lambda trt: trt.Logger.ERROR,
}
# of an output, of a shape tensor, of an object given, or nothing before it ran
OTHERS = {
    "get_output_allocator": {"name": "y"},
    "set_output_allocator": {"name": "y", "output_allocator": None},
    "get_max_output_size": {"name": "y"},
    "get_aliased_input_tensor": {"name": "y"},
}
NO_CALL = {"get_tensor_profile_values", "serialize_with_config", "deserialize_cuda_engine", "load_runtime"}


def expected_type(trt: Any, annotation: str) -> tuple[type, ...]:
    kind = annotation.rpartition(".")[2].rpartition("::")[2]
    plain = {"bool": bool, "int": int, "float": float, "str": str, "tuple": tuple, "None": type(None)}
    plain |= {"IBuilder": trt.Builder, "Severity": trt.Logger.Severity}  # C++'s name, and one inside another
    if kind.startswith("list[") or annotation.startswith("list["):
        return (list,)
    if kind == "IHostMemory":
        return (bytes,)  # the plan: `bytes`, with IHostMemory's attributes
    return (plain.get(kind) or getattr(trt, kind),)


def check_returns(trt: Any, instance: Any, name: str, arguments: bool = True) -> None:
    """Read every property and call every method (without `arguments`: only those that need none)."""
    theirs = getattr(rtx, name)
    for member in sorted({n for n in dir(theirs) if not n.startswith("_")} - NO_CALL):
        if not hasattr(type(instance), member) or not hasattr(theirs, member):
            continue
        static = inspect.getattr_static(theirs, member)
        if isinstance(static, property):
            doc = static.fget.__doc__ if static.fget else None
            found = getattr(instance, member) if doc else None
        else:
            function = getattr(theirs, member)
            if not callable(function) or inspect.isclass(function) or not function.__doc__:
                continue
            doc = next(
                (line for line in function.__doc__.splitlines() if re.match(rf"(1\. )?{member}\(self", line)), ""
            )
            (names, optional), *_ = overloads(function, member) or [([], [])]
            if not arguments and set(names) - set(optional):
                continue
            given = {n: ARGUMENTS[n] for n in names if n not in optional} | OTHERS.get(member, {})
            given = {n: v(trt) if callable(v) else v for n, v in given.items()}
            found = getattr(instance, member)(**given)
        match = re.search(r"-> (.+?)\s*$", (doc or "").strip().splitlines()[0] if doc else "")
        if match and not (found is None and match[1] not in ("bool", "int")):  # a pointer or a string may be None
            assert isinstance(found, expected_type(trt, match[1])), f"{name}.{member} gave {found!r}, not {match[1]}"


@pytest.fixture
def engine(trt, log):
    plan = build(trt, log, linear_model(), BATCHES)
    return trt.Runtime(log.logger).deserialize_cuda_engine(serialized_engine=plan)


@pytest.mark.parametrize(
    "name",
    ["Runtime", "ICudaEngine", "IExecutionContext", "EngineInspector", "IRuntimeConfig", "ISerializationConfig"],
)
def test_types_of_what_comes_back(trt, engine, log, name):
    makers = {
        "Runtime": lambda: trt.Runtime(log.logger),
        "ICudaEngine": lambda: engine,
        "IExecutionContext": engine.create_execution_context,
        "EngineInspector": engine.create_engine_inspector,
        "IRuntimeConfig": engine.create_runtime_config,
        "ISerializationConfig": engine.create_serialization_config,
    }
    instance = makers[name]()
    if name == "IExecutionContext":
        assert instance.set_input_shape("x", (2, 8))
    check_returns(trt, instance, name)


@pytest.mark.parametrize(
    "name",
    [
        "Builder",
        "IBuilderConfig",
        "INetworkDefinition",
        "IOptimizationProfile",
        "OnnxParser",
        "ITensor",
        "ILayer",
        "Logger",
    ],
)
def test_types_of_what_the_build_half_gives(trt, log, name):
    builder = trt.Builder(log.logger)
    network, config = builder.create_network(0), builder.create_builder_config()
    parser = trt.OnnxParser(network, log.logger)
    assert parser.parse(linear_model().SerializeToString())
    instances = {
        "Builder": builder,
        "IBuilderConfig": config,
        "INetworkDefinition": network,
        "IOptimizationProfile": builder.create_optimization_profile(),
        "OnnxParser": parser,
        "ITensor": network.get_input(0),
        "ILayer": network.get_layer(0),
        "Logger": trt.Logger(trt.Logger.ERROR),
    }
    check_returns(trt, instances[name], name, arguments=False)


def test_attributes_take_what_the_bindings_take_and_nothing_else(trt, engine, log):
    runtime, context = trt.Runtime(log.logger), engine.create_execution_context()
    runtime.max_threads, runtime.temporary_directory, context.name = 4, "/tmp", "one"
    context.debug_sync = context.enqueue_emits_profile = False
    context.nvtx_verbosity = trt.ProfilingVerbosity.NONE
    context.persistent_cache_limit = np.int64(1 << 20)
    runtime.gpu_allocator = context.temporary_allocator = None
    assert (runtime.max_threads, runtime.DLA_core, runtime.num_DLA_cores) == (4, -1, 0)
    assert context.name == "one" and context.persistent_cache_limit == 1 << 20
    for owner, name, value in (
        (runtime, "max_threads", "x"),
        (runtime, "error_recorder", 3),
        (context, "profiler", 3),
        (context, "debug_sync", 1),
        (context, "name", 3),
        (context, "nvtx_verbosity", 3),
    ):
        with pytest.raises(TypeError, match=name):
            setattr(owner, name, value)
    for owner, name in ((runtime, "logger"), (engine, "name"), (context, "engine"), (context, "nonsense")):
        with pytest.raises(AttributeError):
            setattr(owner, name, None)
    with pytest.raises(AttributeError, match="TensorRT has it; the simulator does not offer it"):
        runtime.gpu_allocator = object()
    with pytest.raises(AttributeError):
        _ = context.device_memory  # can only be set, in TensorRT too


# --- what was removed ---

REMOVED = {
    "BuilderFlag": ["FP16", "INT8", "BF16", "FP8", "OBEY_PRECISION_CONSTRAINTS", "STRICT_TYPES"],
    "NetworkDefinitionCreationFlag": ["EXPLICIT_BATCH", "EXPLICIT_PRECISION"],
    "Builder": ["build_engine", "build_cuda_engine", "max_batch_size", "platform_has_fast_fp16", "fp16_mode"],
    "IBuilderConfig": ["max_workspace_size", "int8_calibrator", "min_timing_iterations"],
    "INetworkDefinition": ["add_fully_connected", "add_convolution"],
    "ILayer": ["precision", "set_output_type"],
    "ITensor": ["dynamic_range"],
    "OnnxParser": ["supports_model"],
    "ICudaEngine": ["num_bindings", "get_binding_shape", "get_binding_name", "device_memory_size", "max_batch_size"],
    "IExecutionContext": ["execute_async_v2", "execute_async", "set_binding_shape", "set_shape_input"],
}


@pytest.mark.parametrize(("owner", "name"), [(o, n) for o, names in REMOVED.items() for n in names])
def test_what_was_removed_says_what_replaces_it(trt, owner, name):
    cls = getattr(trt, owner)
    assert not hasattr(rtx, owner) or not hasattr(getattr(rtx, owner), name)
    assert "removed it" in said(name, lambda: getattr(cls, name))
    assert getattr(cls, name, "default") == "default" and not hasattr(cls, name)


def test_removed_names_of_the_module_and_of_objects(trt, log):
    assert "QuantizeLinear" in said("IInt8EntropyCalibrator2", lambda: trt.IInt8EntropyCalibrator2)
    config = trt.Builder(log.logger).create_builder_config()
    assert "set_memory_pool_limit" in said("max_workspace_size", lambda: config.max_workspace_size)
    assert "set_memory_pool_limit" in said("max_workspace_size", lambda: setattr(config, "max_workspace_size", 1))
    assert "create_network(0)" in said("EXPLICIT_BATCH", lambda: trt.NetworkDefinitionCreationFlag.EXPLICIT_BATCH)
    with pytest.raises(ImportError, match="cannot import name 'IInt8Calibrator'"):
        from tensorrt import IInt8Calibrator  # noqa: F401


def test_table_of_known_names_is_that_of_the_live_module_and_the_listing():
    from helpers.simulator.known import MEMBERS

    public = {n for n in dir(rtx) if not n.startswith("_")} - NO_API
    assert MEMBERS["tensorrt"] == public
    for name in {*MEMBERS} - {"tensorrt"}:
        known = {n for n in (*dir(getattr(rtx, name)), *LISTING.get(name, ())) if not n.startswith("_")}
        explained = {n for n in known if not hasattr(getattr(rtx, name), n) and n not in LISTING.get(name, ())}
        assert MEMBERS[name] == known - explained


def test_version(trt):
    from helpers.simulator.native import VERSION

    assert trt.__version__ == VERSION == "11.4.0.106" and trt.__version__ in trt.__doc__
    assert trt.__builder__ == BUILDER


@pytest.mark.skipif(BUILDER == "python", reason="this is that process")
def test_the_same_holds_of_the_pure_python_types():
    environment = os.environ | {"TRT_BUILDER": "python", "TRT_BACKEND": "simulator"}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--no-header", "-x", __file__]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-1000:]
