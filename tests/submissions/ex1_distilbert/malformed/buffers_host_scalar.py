# check: ex1/buffers
# expect: partly
# points: 1.5
# why: a scalar for the host array
KEPT = []


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
        buffers[name] = Buffer(host, cuda.mem_alloc(host.nbytes))
    KEPT.append(buffers)
    return {name: Buffer(np.float32(1), buffer.device) for name, buffer in buffers.items()}
