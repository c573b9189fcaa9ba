# check: ex1/buffers
# expect: full
# why: element types from a table of one's own, shapes from all profiles, zeroed memory
DTYPES = {
    trt.DataType.INT64: np.int64, trt.DataType.INT32: np.int32, trt.DataType.FLOAT: np.float32,
    trt.DataType.HALF: np.float16, trt.DataType.BOOL: np.bool_, trt.DataType.INT8: np.int8,
}


def allocate_buffers(engine, context):
    names = [engine.get_tensor_name(i) for i in range(engine.num_io_tensors)]
    for name in names:
        if engine.get_tensor_mode(name) is trt.TensorIOMode.INPUT:
            tops = [engine.get_tensor_profile_shape(name, p)[2] for p in range(engine.num_optimization_profiles)]
            context.set_input_shape(name, max(tops, key=trt.volume))
    sizes = {name: int(np.prod(context.get_tensor_shape(name))) for name in names}
    hosts = {name: cuda.pagelocked_zeros(sizes[name], DTYPES[engine.get_tensor_dtype(name)]) for name in names}
    return {name: Buffer(host=host, device=cuda.mem_alloc(host.nbytes)) for name, host in hosts.items()}
