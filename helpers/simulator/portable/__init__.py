"""TensorRT's build half in Python, for platforms that have no wheel of NVIDIA's: types, network, parser, builder.

It gives NVIDIA's verdicts, return values and log texts, and the same container of a plan, without NVIDIA's plan inside.
There are no tactics to choose here: the simulated runtime executes the ONNX model.
"""

# ruff: noqa: F401
from __future__ import annotations

from typing import Any

from .builder import Builder
from .config import IBuilderConfig, IOptimizationProfile
from .enums import ENUMS
from .network import ILayer, INetworkDefinition, IPluginRegistry, ITensor, ITimingCache
from .parser import OnnxParser, ParserError
from .types import (
    Dims,
    Dims2,
    Dims3,
    Dims4,
    DimsHW,
    IDebugListener,
    IErrorRecorder,
    IGpuAllocator,
    IGpuAsyncAllocator,
    IHostMemory,
    ILogger,
    InterfaceInfo,
    IOutputAllocator,
    IProfiler,
    IProgressMonitor,
    IStreamReaderV2,
    IStreamWriter,
    IVersionedInterface,
    Logger,
    Profiler,
    Weights,
    nptype,
    volume,
)

__version__ = "1.7.1.116"  # the TensorRT-RTX whose verdicts these are

globals().update(ENUMS)
DataType = ENUMS["DataType"]
float32, float16, bfloat16 = DataType.FLOAT, DataType.HALF, DataType.BF16
int64, int32, int8, uint8, int4 = DataType.INT64, DataType.INT32, DataType.INT8, DataType.UINT8, DataType.INT4
bool = DataType.BOOL
fp8, fp4, e8m0 = DataType.FP8, DataType.FP4, DataType.E8M0


def init_libnvinfer_plugins(logger: Any, namespace: str) -> Any:
    """There are no plugins to load. True, as TensorRT answers."""
    return True


def get_plugin_registry() -> IPluginRegistry:
    return IPluginRegistry()


def get_builder_plugin_registry(arg0: Any) -> IPluginRegistry:
    return IPluginRegistry()


def get_nv_onnx_parser_version() -> int:
    return 200
