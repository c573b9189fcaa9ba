"""Every public name of TensorRT's Python module ("tensorrt"), and of the classes that the simulator serves.

TensorRT-RTX 1.7.1 and TensorRT 11.4 together. A machine without NVIDIA's wheel tells from this table a name that
TensorRT has and the simulator does not offer from one that never was. `tests/simulator/test_api.py` holds it against
the live module and the listing of 11.4.
"""

from __future__ import annotations

MEMBERS = {
    name: frozenset(members.split())
    for name, members in {
        "tensorrt": """
            APILanguage ActivationType AllocatorFlag AttentionIOForm AttentionNormalizationOp BoundingBoxFormat
            Builder BuilderFlag CausalMaskKind CollectiveOperation ComputeCapability CudaGraphStrategy
            CumulativeOperation DLAWorkspaceAllocationStrategy DataType DeviceType DimensionOperation Dims Dims2 Dims3
            Dims4 DimsExprs DimsHW DynamicPluginTensorDesc DynamicShapesKernelSpecializationStrategy
            ElementWiseOperation EngineCapability EngineInspector EngineInvalidityDiagnostics EngineStat
            EngineValidity ErrorCode ErrorCodeTRT ExecutionContextAllocationStrategy FallbackString FillOperation
            GatherMode HardwareCompatibilityLevel IActivationLayer IAssertionLayer IAttention IAttentionBoundaryLayer
            IAttentionInputLayer IAttentionOutputLayer IBuilderConfig ICastLayer IConcatenationLayer IConditionLayer
            IConstantLayer IConvolutionLayer ICudaEngine ICumulativeLayer IDebugListener IDeconvolutionLayer
            IDequantizeLayer IDimensionExpr IDistCollectiveLayer IDynamicQuantizeLayer IEinsumLayer IElementWiseLayer
            IErrorRecorder IExecutionContext IExprBuilder IFillLayer IGatherLayer IGpuAllocator IGpuAsyncAllocator
            IGridSampleLayer IHostMemory IIdentityLayer IIfConditional IIfConditionalBoundaryLayer
            IIfConditionalInputLayer IIfConditionalOutputLayer IIteratorLayer IKVCacheUpdateLayer ILRNLayer ILayer
            ILogger ILoop ILoopBoundaryLayer ILoopOutputLayer IMatrixMultiplyLayer IMoELayer INMSLayer
            INetworkDefinition INonZeroLayer INormalizationLayer IOneHotLayer IOptimizationProfile IOutputAllocator
            IPaddingLayer IParametricReLULayer IPluginCapability IPluginCreator IPluginCreatorInterface
            IPluginCreatorV3One IPluginCreatorV3Quick IPluginRegistry IPluginResource IPluginResourceContext IPluginV2
            IPluginV2DynamicExt IPluginV2DynamicExtBase IPluginV2Ext IPluginV2Layer IPluginV3 IPluginV3Layer
            IPluginV3OneBuild IPluginV3OneBuildV2 IPluginV3OneCore IPluginV3OneRuntime IPluginV3QuickBuild
            IPluginV3QuickCore IPluginV3QuickRuntime IPoolingLayer IProfiler IProgressMonitor IQuantizeLayer
            IRaggedSoftMaxLayer IRecurrenceLayer IReduceLayer IResizeLayer IReverseSequenceLayer IRotaryEmbeddingLayer
            IRuntimeCache IRuntimeConfig IScaleLayer IScatterLayer ISelectLayer ISerializationConfig IShapeLayer
            IShuffleLayer ISliceLayer ISoftMaxLayer ISqueezeLayer IStreamReaderV2 IStreamWriter ITensor ITimingCache
            ITopKLayer ITripLimitLayer IUnaryLayer IUnsqueezeLayer IVersionedInterface IWeightsManager InterfaceInfo
            InterpolationMode KVCacheMode LayerInformationFormat LayerType Logger LoopOutput MatrixOperation
            MemoryPoolType MoEActType NetworkDefinitionCreationFlag NodeIndices OnnxParser OnnxParserFlag
            OnnxParserRefitter PaddingMode ParserError Permutation PluginArgDataType PluginArgType
            PluginCapabilityType PluginCreatorVersion PluginField PluginFieldCollection PluginFieldCollection_
            PluginFieldType PluginTensorDesc PoolingType PreviewFeature Profiler ProfilingVerbosity ReduceOperation
            Refitter ResizeCoordinateTransformation ResizeRoundMode ResizeSelector Runtime RuntimePlatform SampleMode
            ScaleMode ScatterMode SeekPosition SerializationFlag TacticSource TempfileControlFlag TensorFormat
            TensorIOMode TensorLocation TensorRTPhase TilingOptimizationLevel TimingCacheKey TimingCacheValue
            TopKOperation TripLimit UnaryOperation Weights WeightsRole bfloat16 bool e8m0 float16 float32 fp4 fp8
            get_builder_plugin_registry get_nv_onnx_parser_version get_plugin_registry init_libnvinfer_plugins int32
            int4 int64 int8 nptype uint8 volume
        """,
        "Builder": """
            build_engine_with_config build_serialized_network build_serialized_network_to_stream create_builder_config
            create_network create_optimization_profile error_recorder get_plugin_registry gpu_allocator
            is_network_supported logger max_DLA_batch_size max_threads num_DLA_cores reset
        """,
        "IBuilderConfig": """
            DLA_core add_optimization_profile all_build_routes avg_timing_iterations build_route
            builder_optimization_level can_run_on_DLA clear_flag create_timing_cache default_device_type
            engine_capability flags get_compute_capability get_device_type get_flag get_memory_pool_limit
            get_preview_feature get_tactic_sources get_timing_cache hardware_compatibility_level is_device_type_set
            l2_limit_for_tiling max_aux_streams max_num_tactics num_compute_capabilities num_optimization_profiles
            plugins_to_serialize profile_stream profiling_verbosity progress_monitor remote_auto_tuning_config reset
            reset_device_type runtime_platform set_compute_capability set_device_type set_flag set_memory_pool_limit
            set_preview_feature set_tactic_sources set_timing_cache tiling_optimization_level
        """,
        "INetworkDefinition": """
            add_activation add_assertion add_attention add_attention_v2 add_cast add_concatenation add_constant
            add_convolution_nd add_cumulative add_deconvolution_nd add_dequantize add_dist_collective
            add_dynamic_quantize add_dynamic_quantize_v2 add_einsum add_elementwise add_fill add_gather add_gather_v2
            add_grid_sample add_identity add_if_conditional add_input add_kv_cache_update add_loop add_lrn
            add_matrix_multiply add_moe add_nms add_non_zero add_normalization add_normalization_v2 add_one_hot
            add_padding_nd add_parametric_relu add_plugin add_plugin_v2 add_plugin_v3 add_pooling_nd add_quantize
            add_ragged_softmax add_reduce add_resize add_reverse_sequence add_rotary_embedding add_scale add_scale_nd
            add_scatter add_select add_shape add_shuffle add_slice add_softmax add_squeeze add_topk add_unary
            add_unsqueeze are_weights_marked_refittable builder error_recorder flags get_flag get_input get_layer
            get_output has_implicit_batch_dimension is_debug_tensor mark_debug mark_output mark_output_for_shapes
            mark_unfused_tensors_as_debug_tensors mark_weights_refittable name num_inputs num_layers num_outputs
            remove_tensor set_weights_name unmark_debug unmark_output unmark_output_for_shapes
            unmark_unfused_tensors_as_debug_tensors unmark_weights_refittable
        """,
        "ILayer": """
            get_input get_output get_output_type metadata name num_inputs num_outputs num_ranks set_input type
        """,
        "ITensor": """
            allowed_formats dtype get_dimension_name is_execution_tensor is_network_input is_network_output
            is_shape_tensor name set_dimension_name shape
        """,
        "IOptimizationProfile": """
            extra_memory_target get_shape get_shape_input profile_stream set_shape set_shape_input
        """,
        "OnnxParser": """
            clear_errors clear_flag flags get_error get_flag get_layer_output_tensor get_subgraph_nodes
            get_used_vc_plugin_libraries is_subgraph_supported load_initializer load_model_proto num_errors
            num_subgraphs parse parse_from_file parse_model_proto set_builder_config set_flag supports_model_v2
            supports_operator
        """,
        "ParserError": """
            code desc file func line local_function_stack local_function_stack_size node node_name node_operator
        """,
        "ITimingCache": "combine query queryKeys reset serialize update",
        "IHostMemory": "dtype nbytes",
        "IPluginRegistry": """
            acquire_plugin_resource all_creators all_creators_recursive deregister_creator deregister_library
            error_recorder get_creator load_library parent_search_enabled register_creator release_plugin_resource
        """,
        "Weights": "dtype nbytes numpy size",
        "Runtime": """
            DLA_core defer_weights_loading deserialize_cuda_engine dla_workspace_allocation_strategy
            engine_header_size engine_host_code_allowed error_recorder get_engine_validity get_plugin_registry
            gpu_allocator load_runtime logger max_threads num_DLA_cores tempfile_control_flags temporary_directory
        """,
        "ICudaEngine": """
            create_engine_inspector create_execution_context create_runtime_config create_serialization_config
            create_weights_manager device_memory_size_v2 engine_capability error_recorder get_aliased_input_tensor
            get_device_memory_size_for_profile_v2 get_engine_stat get_tensor_bytes_per_component
            get_tensor_components_per_element get_tensor_dtype get_tensor_format get_tensor_format_desc
            get_tensor_location get_tensor_mode get_tensor_name get_tensor_profile_shape get_tensor_profile_values
            get_tensor_shape get_tensor_vectorized_dim get_weight_streaming_automatic_budget
            hardware_compatibility_level is_debug_tensor is_shape_inference_io load_weights load_weights_async name
            num_aux_streams num_io_tensors num_layers num_optimization_profiles profiling_verbosity refittable
            serialize serialize_with_config streamable_weights_size tactic_sources unload_weights
            weight_streaming_budget_v2 weight_streaming_scratch_memory_size weights_loaded
        """,
        "IExecutionContext": """
            active_optimization_profile all_binding_shapes_specified debug_sync device_memory engine
            enqueue_emits_profile error_recorder execute_async_v3 execute_v2 get_debug_listener get_debug_state
            get_input_consumed_event get_max_output_size get_output_allocator get_runtime_config get_tensor_address
            get_tensor_shape get_tensor_strides infer_shapes is_stream_capturable name nvtx_verbosity
            persistent_cache_limit profiler report_to_profiler set_all_tensors_debug_state set_aux_streams
            set_communicator set_debug_listener set_device_memory set_input_consumed_event set_input_shape
            set_optimization_profile_async set_output_allocator set_tensor_address set_tensor_debug_state
            temporary_allocator unfused_tensors_debug_state update_device_memory_size_for_shapes
        """,
        "EngineInspector": "error_recorder execution_context get_engine_information get_layer_information",
        "IRuntimeConfig": """
            create_runtime_cache cuda_graph_strategy dynamic_shapes_kernel_specialization_strategy
            get_execution_context_allocation_strategy get_runtime_cache set_execution_context_allocation_strategy
            set_runtime_cache
        """,
        "ISerializationConfig": "clear_flag flags get_flag set_flag",
        "Logger": "ERROR INFO INTERNAL_ERROR Severity VERBOSE WARNING log min_severity",
        "ILogger": "ERROR INFO INTERNAL_ERROR Severity VERBOSE WARNING log",
        "IProfiler": "report_layer_time",
        "Profiler": "report_layer_time",
        "IErrorRecorder": """
            MAX_DESC_LENGTH clear get_error_code get_error_desc has_overflowed num_errors report_error
        """,
        "IOutputAllocator": """
        """,
        "IGpuAllocator": "allocate_async api_language deallocate_async interface_info reallocate",
        "IGpuAsyncAllocator": "allocate_async api_language deallocate_async interface_info reallocate",
        "IStreamWriter": "write",
        "IStreamReaderV2": "read seek",
        "IProgressMonitor": "phase_finish phase_start step_complete",
        "IDebugListener": "process_debug_tensor",
        "NetworkDefinitionCreationFlag": """
            PREFER_AOT_PYTHON_PLUGINS PREFER_JIT_PYTHON_PLUGINS STRONGLY_TYPED name value
        """,
    }.items()
}
