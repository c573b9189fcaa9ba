# check: ex1/buffers
# expect: partly
# line: each holds the profile's largest shape
# points: 3
# why: one element short
def allocate_buffers(engine, context):
    """A Buffer for every tensor of the engine, by name, large enough for the profile's maximum."""
    names = [engine.get_tensor_name(i) for i in range(engine.num_io_tensors)]
    for name in names:
        if engine.get_tensor_mode(name) == trt.TensorIOMode.INPUT:
            context.set_input_shape(name, engine.get_tensor_profile_shape(name, 0)[2])
    buffers = {}
    for name in names:
        dtype = trt.nptype(engine.get_tensor_dtype(name))
        host = cuda.pagelocked_empty(trt.volume(context.get_tensor_shape(name)) - 1, dtype)
        buffers[name] = Buffer(host, cuda.mem_alloc(host.nbytes))
    return buffers
