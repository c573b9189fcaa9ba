# check: ex1/buffers
# expect: partly
# line: device memory is as large
# points: 3
# why: only the address is kept, and the allocation is freed at once
def allocate_buffers(engine, context):
    """A Buffer for every tensor of the engine, by name, large enough for the profile's maximum."""
    names = [engine.get_tensor_name(i) for i in range(engine.num_io_tensors)]
    for name in names:
        if engine.get_tensor_mode(name) == trt.TensorIOMode.INPUT:
            context.set_input_shape(name, engine.get_tensor_profile_shape(name, 0)[2])
    buffers = {}
    for name in names:
        dtype = trt.nptype(engine.get_tensor_dtype(name))
        host = cuda.pagelocked_empty(trt.volume(context.get_tensor_shape(name)), dtype)
        buffers[name] = Buffer(host, int(cuda.mem_alloc(host.nbytes)))
    return buffers
