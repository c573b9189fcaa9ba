# check: ex1/enqueue
# expect: partly
# line: nothing is made anew for each call
# points: 5.5
# why: the batch's own device memory is used and kept for ever
KEPT = []


def enqueue(context, buffers, stream, inputs):
    outputs = [name for name in buffers if name not in inputs]

    def used(name):
        shape = tuple(context.get_tensor_shape(name))
        return buffers[name].host[: trt.volume(shape)].reshape(shape)

    device = {name: cuda.mem_alloc(buffer.host.nbytes) for name, buffer in buffers.items()}
    KEPT.append(device)
    for name, array in inputs.items():
        if not context.set_input_shape(name, array.shape):
            raise ValueError(f"{name}: {array.shape} lies outside the profile")
        used(name)[...] = array
        cuda.memcpy_htod_async(device[name], used(name), stream)
    for name in buffers:
        context.set_tensor_address(name, int(device[name]))
    if not context.execute_async_v3(stream.handle):
        raise RuntimeError("the execution was refused; the log says why")
    for name in outputs:
        cuda.memcpy_dtoh_async(used(name), device[name], stream)
    stream.synchronize()
    return {name: used(name).copy() for name in outputs}
