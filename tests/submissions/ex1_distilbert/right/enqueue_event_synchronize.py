# check: ex1/enqueue
# expect: full
# why: an event behind the last copy is waited for; addresses and shapes come first
def enqueue(context, buffers, stream, inputs):
    outputs = [name for name in buffers if name not in inputs]

    def used(name):
        shape = tuple(context.get_tensor_shape(name))
        return buffers[name].host[: trt.volume(shape)].reshape(shape)

    for name in buffers:
        context.set_tensor_address(name, int(buffers[name].device))
    refused = [name for name, array in inputs.items() if not context.set_input_shape(name, array.shape)]
    if refused:
        raise ValueError(f"refused: {refused}")
    for name in inputs:
        used(name)[:] = inputs[name]
    for name in inputs:
        cuda.memcpy_htod_async(buffers[name].device, used(name), stream)
    if not context.execute_async_v3(stream_handle=stream.handle):
        raise RuntimeError("not executed")
    for name in outputs:
        cuda.memcpy_dtoh_async(used(name), buffers[name].device, stream)
    done = cuda.Event()
    done.record(stream)
    done.synchronize()
    return {name: np.array(used(name)) for name in outputs}
