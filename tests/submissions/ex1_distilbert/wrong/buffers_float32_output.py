# check: ex1/buffers
# expect: partly
# line: each host array has the element type
# points: 3.5
# why: every output is taken for FP32
def allocate_buffers(engine, context):
    """A Buffer for every tensor of the engine, by name, large enough for the profile's maximum."""
    names = [engine.get_tensor_name(i) for i in range(engine.num_io_tensors)]
    for name in names:
        if engine.get_tensor_mode(name) == trt.TensorIOMode.INPUT:
            context.set_input_shape(name, engine.get_tensor_profile_shape(name, 0)[2])
    buffers = {}
    for name in names:
        dtype = np.int64 if engine.get_tensor_mode(name) == trt.TensorIOMode.INPUT else np.float32
        host = cuda.pagelocked_empty(trt.volume(context.get_tensor_shape(name)), dtype)
        buffers[name] = Buffer(host, cuda.mem_alloc(host.nbytes))
    return buffers
