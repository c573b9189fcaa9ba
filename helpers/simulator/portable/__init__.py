"""TensorRT's build half in Python, for platforms that have no wheel of NVIDIA's: types, network, parser, builder.

It gives NVIDIA's verdicts, return values and log texts, and the same container of a plan, without NVIDIA's plan inside.
There are no tactics to choose here: the simulated runtime executes the ONNX model.
"""

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


def _run_half(name: str, members: str) -> type:
    """A class of TensorRT's run half: what it has is known here, what it does is the simulated runtime's."""
    return type(name, (), {"__module__": "tensorrt", **dict.fromkeys(members.split(), property())})


Runtime = _run_half(
    "Runtime",
    """DLA_core defer_weights_loading deserialize_cuda_engine dla_workspace_allocation_strategy engine_header_size
    engine_host_code_allowed error_recorder get_engine_validity get_plugin_registry gpu_allocator load_runtime
    logger max_threads num_DLA_cores tempfile_control_flags temporary_directory""",
)
ICudaEngine = _run_half(
    "ICudaEngine",
    """create_engine_inspector create_execution_context create_runtime_config create_serialization_config
    create_weights_manager device_memory_size_v2 engine_capability error_recorder get_aliased_input_tensor
    get_device_memory_size_for_profile_v2 get_engine_stat get_tensor_bytes_per_component
    get_tensor_components_per_element get_tensor_dtype get_tensor_format get_tensor_format_desc
    get_tensor_location get_tensor_mode get_tensor_name get_tensor_profile_shape get_tensor_profile_values
    get_tensor_shape get_tensor_vectorized_dim get_weight_streaming_automatic_budget hardware_compatibility_level
    is_debug_tensor is_shape_inference_io load_weights load_weights_async name num_aux_streams num_io_tensors
    num_layers num_optimization_profiles profiling_verbosity refittable serialize serialize_with_config
    streamable_weights_size tactic_sources unload_weights weight_streaming_budget_v2
    weight_streaming_scratch_memory_size weights_loaded""",
)
IExecutionContext = _run_half(
    "IExecutionContext",
    """active_optimization_profile all_binding_shapes_specified debug_sync device_memory engine enqueue_emits_profile
    error_recorder execute_async_v3 execute_v2 get_debug_listener get_debug_state get_input_consumed_event
    get_max_output_size get_output_allocator get_runtime_config get_tensor_address get_tensor_shape
    get_tensor_strides infer_shapes is_stream_capturable name nvtx_verbosity persistent_cache_limit profiler
    report_to_profiler set_all_tensors_debug_state set_aux_streams set_communicator set_debug_listener
    set_device_memory set_input_consumed_event set_input_shape set_optimization_profile_async set_output_allocator
    set_tensor_address set_tensor_debug_state temporary_allocator unfused_tensors_debug_state
    update_device_memory_size_for_shapes""",
)
IRuntimeConfig = _run_half(
    "IRuntimeConfig",
    """create_runtime_cache cuda_graph_strategy dynamic_shapes_kernel_specialization_strategy
    get_execution_context_allocation_strategy get_runtime_cache set_execution_context_allocation_strategy
    set_runtime_cache""",
)
IRuntimeCache = _run_half(
    "IRuntimeCache",
    """deserialize reset serialize""",
)
ISerializationConfig = _run_half(
    "ISerializationConfig",
    """clear_flag flags get_flag set_flag""",
)
EngineInspector = _run_half(
    "EngineInspector",
    """error_recorder execution_context get_engine_information get_layer_information""",
)
Refitter = _run_half(
    "Refitter",
    """error_recorder get_all get_all_weights get_missing get_missing_weights get_named_weights get_weights_location
    get_weights_prototype logger max_threads refit_cuda_engine refit_cuda_engine_async release_refit_resources
    set_named_weights set_weights unset_named_weights weights_validation""",
)
OnnxParserRefitter = _run_half(
    "OnnxParserRefitter",
    """clear_errors get_error load_initializer load_model_proto num_errors refit_from_bytes refit_from_file
    refit_model_proto""",
)
IWeightsManager = _run_half(
    "IWeightsManager",
    """get_size restore_from_buffer restore_from_vmm_allocation save_to_buffer save_to_stream unload""",
)

_LAYERS = "a model written as ONNX and read by OnnxParser: this builder takes no layers one by one"
_PLUGINS = "operators that TensorRT has: plugins are CUDA code, which needs a GPU"
# Public names of TensorRT's that this package lacks, with what to use instead.
_LACKS = {
    **dict.fromkeys(
        """IActivationLayer IAssertionLayer IAttention IAttentionBoundaryLayer IAttentionInputLayer IAttentionOutputLayer
    ICastLayer IConcatenationLayer IConditionLayer IConstantLayer IConvolutionLayer ICumulativeLayer
    IDeconvolutionLayer IDequantizeLayer IDistCollectiveLayer IDynamicQuantizeLayer IEinsumLayer IElementWiseLayer
    IFillLayer IGatherLayer IGridSampleLayer IIdentityLayer IIfConditional IIfConditionalBoundaryLayer
    IIfConditionalInputLayer IIfConditionalOutputLayer IIteratorLayer IKVCacheUpdateLayer ILRNLayer ILoop
    ILoopBoundaryLayer ILoopOutputLayer IMatrixMultiplyLayer IMoELayer INMSLayer INonZeroLayer INormalizationLayer
    IOneHotLayer IPaddingLayer IParametricReLULayer IPoolingLayer IQuantizeLayer IRaggedSoftMaxLayer
    IRecurrenceLayer IReduceLayer IResizeLayer IReverseSequenceLayer IRotaryEmbeddingLayer IScaleLayer
    IScatterLayer ISelectLayer IShapeLayer IShuffleLayer ISliceLayer ISoftMaxLayer ISqueezeLayer ITopKLayer
    ITripLimitLayer IUnaryLayer IUnsqueezeLayer""".split(),
        _LAYERS,
    ),
    **dict.fromkeys(
        """DimsExprs DynamicPluginTensorDesc FallbackString IDimensionExpr IExprBuilder IPluginCapability IPluginCreator
    IPluginCreatorInterface IPluginCreatorV3One IPluginCreatorV3Quick IPluginResource IPluginResourceContext
    IPluginV2 IPluginV2DynamicExt IPluginV2DynamicExtBase IPluginV2Ext IPluginV2Layer IPluginV3 IPluginV3Layer
    IPluginV3OneBuild IPluginV3OneBuildV2 IPluginV3OneCore IPluginV3OneRuntime IPluginV3QuickBuild
    IPluginV3QuickCore IPluginV3QuickRuntime PluginField PluginFieldCollection PluginFieldCollection_
    PluginTensorDesc""".split(),
        _PLUGINS,
    ),
    "NodeIndices": "a list of node indices",
    "Permutation": "a Transpose in the ONNX model",
    "TimingCacheKey": "nothing: no tactic is timed at build time here",
    "TimingCacheValue": "nothing: no tactic is timed at build time here",
}


def __getattr__(name: str) -> Any:
    if name in _LACKS:
        raise AttributeError(
            f"tensorrt.{name} exists in TensorRT; the pure-Python builder does not offer it. Use {_LACKS[name]}."
        )
    raise AttributeError(f"module 'tensorrt' has no attribute {name!r}")
