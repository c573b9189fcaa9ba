"""Names that TensorRT removed, and names that it has and the simulator does not offer: both say what to use instead.

A bare AttributeError helps nobody who follows a text for another version. So each such name is put on its class (or
into the module's `__getattr__`) as something that raises an AttributeError with an explanation. `hasattr` stays False,
`getattr` with a default gives the default, `isinstance`, equality and the members of NVIDIA's enums stay as they are.
"""

from __future__ import annotations

import inspect
from typing import Any

from .known import MEMBERS
from .native import API, nv

_GRAPH = "precision belongs into the ONNX graph (helpers.precision.to_fp16, onnxconverter-common, nvidia-modelopt)"
_WEAK = f"nothing: every network is strongly typed, and {_GRAPH}"
_CALIBRATION = "explicit quantization: QuantizeLinear and DequantizeLinear in the ONNX graph (nvidia-modelopt)"
_ASYNC = "execute_async_v3(stream_handle), after set_tensor_address for every tensor"

# class -> name -> (the TensorRT that removed it, what to use instead). "tensorrt" is the module. Sources: NVIDIA's
# migration guides 8.x to 10.x and 10.x to 11.x.
_REMOVED: dict[str, dict[str, tuple[int, str]]] = {
    "tensorrt": {
        "IInt8Calibrator": (11, _CALIBRATION),
        "IInt8LegacyCalibrator": (11, _CALIBRATION),
        "IInt8EntropyCalibrator": (11, _CALIBRATION),
        "IInt8EntropyCalibrator2": (11, _CALIBRATION),
        "IInt8MinMaxCalibrator": (11, _CALIBRATION),
        "CalibrationAlgoType": (11, _CALIBRATION),
        "QuantizationFlag": (11, _CALIBRATION),
        "IAlgorithmSelector": (11, "ITimingCache, to keep tactics from build to build"),
        "IAlgorithm": (11, "ITimingCache, to keep tactics from build to build"),
        "IStreamReader": (11, "IStreamReaderV2, or bytes: deserialize_cuda_engine(file.read())"),
        "UffParser": (10, "OnnxParser"),
        "CaffeParser": (10, "OnnxParser"),
        "IRNNv2Layer": (10, "ILoop, or the ONNX operators LSTM and GRU"),
        "IFullyConnectedLayer": (10, "IMatrixMultiplyLayer and an addition"),
        "DimsCHW": (10, "Dims3"),
        "DimsNCHW": (10, "Dims4"),
        "infer": (10, "the names themselves: trt.Runtime, trt.ICudaEngine"),
    },
    "NetworkDefinitionCreationFlag": {
        "EXPLICIT_BATCH": (11, "create_network(0): every network has explicit batch dimensions"),
        "EXPLICIT_PRECISION": (10, f"create_network(0): {_GRAPH}"),
    },
    "BuilderFlag": {
        "FP16": (11, _WEAK),
        "BF16": (11, _WEAK),
        "INT8": (11, f"nothing: every network is strongly typed; {_CALIBRATION}"),
        "FP8": (11, f"nothing: every network is strongly typed; {_CALIBRATION}"),
        "INT4": (11, f"nothing: every network is strongly typed; {_CALIBRATION}"),
        "FP4": (11, f"nothing: every network is strongly typed; {_CALIBRATION}"),
        "OBEY_PRECISION_CONSTRAINTS": (11, _WEAK),
        "PREFER_PRECISION_CONSTRAINTS": (11, _WEAK),
        "REJECT_EMPTY_ALGORITHMS": (11, "nothing: algorithm selectors are gone"),
        "STRICT_TYPES": (10, _WEAK),
        "ENABLE_TACTIC_HEURISTIC": (10, "config.builder_optimization_level = 2"),
    },
    "PreviewFeature": {
        "FASTER_DYNAMIC_SHAPES_0805": (10, "nothing: it is always on"),
        "DISABLE_EXTERNAL_TACTIC_SOURCES_FOR_CORE_0805": (10, "nothing: it is always on"),
        "PROFILE_SHARING_0806": (11, "nothing: it is always on"),
    },
    "TacticSource": {
        "CUBLAS": (11, "nothing: TensorRT has kernels of its own"),
        "CUBLAS_LT": (11, "nothing: TensorRT has kernels of its own"),
        "CUDNN": (11, "nothing: TensorRT has kernels of its own"),
    },
    "Builder": {
        "build_engine": (10, "build_serialized_network(network, config), then Runtime.deserialize_cuda_engine"),
        "build_cuda_engine": (10, "build_serialized_network(network, config), then Runtime.deserialize_cuda_engine"),
        "max_batch_size": (10, "an optimization profile: profile.set_shape(name, min, opt, max)"),
        "max_workspace_size": (10, "config.set_memory_pool_limit(trt.MemoryPoolType.WORKSPACE, nbytes)"),
        "fp16_mode": (10, _GRAPH),
        "int8_mode": (10, _CALIBRATION),
        "strict_type_constraints": (10, _GRAPH),
        "platform_has_fast_fp16": (11, "the GPU's compute capability; " + _GRAPH),
        "platform_has_fast_int8": (11, "the GPU's compute capability; " + _CALIBRATION),
        "platform_has_tf32": (11, "the GPU's compute capability: 8.0 or higher"),
    },
    "IBuilderConfig": {
        "max_workspace_size": (10, "set_memory_pool_limit(trt.MemoryPoolType.WORKSPACE, nbytes)"),
        "min_timing_iterations": (10, "avg_timing_iterations"),
        "int8_calibrator": (11, _CALIBRATION),
        "set_calibration_profile": (11, _CALIBRATION),
        "get_calibration_profile": (11, _CALIBRATION),
        "set_quantization_flag": (11, _CALIBRATION),
        "get_quantization_flag": (11, _CALIBRATION),
        "clear_quantization_flag": (11, _CALIBRATION),
        "quantization_flags": (11, _CALIBRATION),
        "algorithm_selector": (11, "set_timing_cache, to keep tactics from build to build"),
    },
    "INetworkDefinition": {
        "max_batch_size": (10, "an optimization profile: profile.set_shape(name, min, opt, max)"),
        "has_explicit_precision": (10, "nothing: " + _GRAPH),
        "add_fully_connected": (10, "add_matrix_multiply and add_elementwise"),
        "add_rnn_v2": (10, "add_loop"),
        "add_convolution": (10, "add_convolution_nd"),
        "add_deconvolution": (10, "add_deconvolution_nd"),
        "add_pooling": (10, "add_pooling_nd"),
        "add_padding": (10, "add_padding_nd"),
    },
    "ILayer": {
        "precision": (11, "add_cast before the layer: " + _WEAK),
        "precision_is_set": (11, _WEAK),
        "reset_precision": (11, _WEAK),
        "set_output_type": (11, "add_cast behind the layer: " + _WEAK),
        "output_type_is_set": (11, _WEAK),
        "reset_output_type": (11, _WEAK),
    },
    "ITensor": {
        "dynamic_range": (11, _CALIBRATION),
        "set_dynamic_range": (11, _CALIBRATION),
        "reset_dynamic_range": (11, _CALIBRATION),
        "broadcast_across_batch": (10, "nothing: every network has explicit batch dimensions"),
        "location": (10, "nothing: TensorRT knows which tensors are shapes"),
    },
    "OnnxParser": {
        "supports_model": (11, "supports_model_v2, num_subgraphs and is_subgraph_supported"),
        "parse_with_weight_descriptors": (11, "load_model_proto, load_initializer and parse_model_proto"),
    },
    "Runtime": {"get_engine_capability": (10, "engine.engine_capability")},
    "ICudaEngine": {
        "num_bindings": (10, "num_io_tensors"),
        "get_binding_name": (10, "get_tensor_name(i)"),
        "get_binding_shape": (10, "get_tensor_shape(name)"),
        "get_binding_dtype": (10, "get_tensor_dtype(name)"),
        "get_binding_format": (10, "get_tensor_format(name)"),
        "get_binding_format_desc": (10, "get_tensor_format_desc(name)"),
        "get_binding_bytes_per_component": (10, "get_tensor_bytes_per_component(name)"),
        "get_binding_components_per_element": (10, "get_tensor_components_per_element(name)"),
        "get_binding_vectorized_dim": (10, "get_tensor_vectorized_dim(name)"),
        "get_binding_index": (10, "names: tensors are bound by name, not by index"),
        "binding_is_input": (10, "get_tensor_mode(name) == trt.TensorIOMode.INPUT"),
        "is_shape_binding": (10, "is_shape_inference_io(name)"),
        "is_execution_binding": (10, "get_tensor_location(name) == trt.TensorLocation.DEVICE"),
        "get_location": (10, "get_tensor_location(name)"),
        "get_profile_shape": (10, "get_tensor_profile_shape(name, profile_index)"),
        "get_profile_shape_input": (10, "get_tensor_profile_values(profile_index, name)"),
        "max_batch_size": (10, "the optimization profile: get_tensor_profile_shape(name, 0)"),
        "max_workspace_size": (10, "device_memory_size_v2"),
        "has_implicit_batch_dimension": (10, "nothing: every network has explicit batch dimensions"),
        "create_execution_context_without_device_memory": (
            11,
            "create_execution_context(trt.ExecutionContextAllocationStrategy.USER_MANAGED) and set_device_memory",
        ),
        "device_memory_size": (11, "device_memory_size_v2 (activation memory, without the weights)"),
        "get_device_memory_size_for_profile": (11, "get_device_memory_size_for_profile_v2(profile_index)"),
        "weight_streaming_budget": (11, "weight_streaming_budget_v2"),
        "minimum_weight_streaming_budget": (11, "weight_streaming_budget_v2, whose least value is 0"),
    },
    "IExecutionContext": {
        "set_binding_shape": (10, "set_input_shape(name, shape)"),
        "get_binding_shape": (10, "get_tensor_shape(name)"),
        "get_strides": (10, "get_tensor_strides(name)"),
        "get_shape": (10, "get_tensor_shape(name)"),
        "set_shape_input": (10, "set_tensor_address(name, host_pointer), for a tensor with is_shape_inference_io"),
        "execute": (10, "execute_v2(addresses) or execute_async_v3(stream_handle)"),
        "execute_async": (10, _ASYNC),
        "execute_async_v2": (10, _ASYNC),
        "all_shape_inputs_specified": (10, "infer_shapes()"),
    },
}

_RTX = "It is TensorRT-RTX's alone, not TensorRT 11's. "
_LOADED = _RTX + "Use deserialize_cuda_engine: it loads the weights too."
_GRAPH_OF_YOUR_OWN = _RTX + "Use a CUDA graph of your own: capture the stream around execute_async_v3."
_CACHE = _RTX + "Use the plan as it is: nothing is compiled at run time here."
_PLUGIN = "No plugin runs on the simulated device. Use operators of ONNX."
_REFIT = "The simulated engine cannot be refitted. Use a new build from the changed ONNX model."

# class -> name -> what to use instead of what TensorRT has and the simulator does not offer
_INSTEAD: dict[str, dict[str, str]] = {
    "tensorrt": {
        "Refitter": _REFIT,
        "OnnxParserRefitter": _REFIT,
    },
    "Builder": {"get_plugin_registry": _PLUGIN},
    "IBuilderConfig": {"remote_auto_tuning_config": "Use builder_optimization_level. There is nothing to tune here."},
    "INetworkDefinition": {
        "add_plugin": _PLUGIN,
        "add_plugin_v2": _PLUGIN,
        "add_plugin_v3": _PLUGIN,
    },
    "NetworkDefinitionCreationFlag": {"PREFER_AOT_PYTHON_PLUGINS": _PLUGIN, "PREFER_JIT_PYTHON_PLUGINS": _PLUGIN},
    "Runtime": {
        "get_plugin_registry": _PLUGIN,
        "load_runtime": "Use this Runtime: a lean runtime is a library for a GPU.",
        "get_engine_validity": _RTX + "Use deserialize_cuda_engine, which returns None and logs the reason.",
        "engine_header_size": _RTX + "Use deserialize_cuda_engine, which reads the whole plan.",
        "defer_weights_loading": _LOADED,
    },
    "ICudaEngine": {
        "create_weights_manager": _LOADED,
        "load_weights": _LOADED,
        "load_weights_async": _LOADED,
        "unload_weights": _LOADED,
        "weights_loaded": _LOADED,
    },
    "IExecutionContext": {
        "set_communicator": "The simulated machine has one device. Use one engine on it.",
        "is_stream_capturable": _RTX + "Use it as on TensorRT: execute once after each new shape, then capture.",
    },
    "IRuntimeConfig": {
        "create_runtime_cache": _CACHE,
        "get_runtime_cache": _CACHE,
        "set_runtime_cache": _CACHE,
        "cuda_graph_strategy": _GRAPH_OF_YOUR_OWN,
        "dynamic_shapes_kernel_specialization_strategy": _CACHE,
    },
}
_WHEEL = (
    "The pure-Python builder builds what OnnxParser parsed. Use an ONNX model, or NVIDIA's builder"
    " (pip install tensorrt-rtx, TRT_BUILDER=nvidia)."
)


class _Gone:
    """A name on a class that raises an AttributeError with an explanation whenever it is touched."""

    def __init__(self, text: str) -> None:
        self.text = text

    def __get__(self, instance: Any, owner: type) -> Any:
        what = f"type object {owner.__name__!r}" if instance is None else f"{owner.__name__!r} object"
        raise AttributeError(self.text.format(what))

    def __set__(self, instance: Any, value: Any) -> None:
        raise AttributeError(self.text.format(f"{type(instance).__name__!r} object"))


def explanation(owner: str, name: str) -> str | None:
    """Why `owner` ("tensorrt" or a class) has no `name`, with "{}" for the owner; None where TensorRT has none either.

    Whether the simulator does offer the name is not looked at.
    """
    removed, instead = _REMOVED.get(owner, {}).get(name, (0, ""))
    instead = f"Use {instead}." if not instead.startswith("nothing: ") else f"Nothing takes its place: {instead[9:]}."
    if removed and removed <= int(API):
        since = "10 and 11" if removed == 10 and API == "11" else API
        older = " TRT_API=10 in the environment gives TensorRT 10's API." if (removed, API) == (11, "11") else ""
        return f"{{}} has no attribute {name!r}: TensorRT {since} removed it. {instead}{older}"
    if removed:
        return (
            f"{{}} has no attribute {name!r}: TensorRT {API} has it (11 removed it); the simulator does not offer it."
            f" {instead}"
        )
    if name not in MEMBERS.get(owner, ()):
        return None
    instead = _INSTEAD.get(owner, {}).get(name, _WHEEL)
    return f"{{}} has no attribute {name!r}: TensorRT has it; the simulator does not offer it. {instead}"


def explain(cls: type, name: str | None = None) -> None:
    """Put every name on `cls` that TensorRT's class of this name had or has, and `cls` does not offer.

    NVIDIA's own classes are changed in place: its factories return them, and they cannot be subclassed from outside.
    """
    owner = name or cls.__name__
    for member in {*_REMOVED.get(owner, ()), *MEMBERS.get(owner, ())}:
        try:
            inspect.getattr_static(cls, member)
        except AttributeError:
            text = explanation(owner, member)
            if text is not None:
                setattr(cls, member, _Gone(text))


def install() -> None:
    """Explain names on TensorRT's own classes, NVIDIA's or ours. Idempotent."""
    if not hasattr(nv.INetworkDefinition, "has_implicit_batch_dimension"):
        nv.INetworkDefinition.has_implicit_batch_dimension = property(lambda self: False)
    for owner in {*_REMOVED, *MEMBERS} - {"tensorrt"}:
        cls = getattr(nv, owner, None)
        if cls is not None:
            explain(cls, owner)
