# check: ex1/enqueue
# expect: zero
# line: outputs are right
# why: inputs are copied after the execution: it computes with the last batch's
def enqueue(context, buffers, stream, inputs):
    outputs = [name for name in buffers if name not in inputs]

    def used(name):
        shape = tuple(context.get_tensor_shape(name))
        return buffers[name].host[: trt.volume(shape)].reshape(shape)

    for name, array in inputs.items():
        if not context.set_input_shape(name, array.shape):
            raise ValueError(f"{name}: {array.shape} lies outside the profile")
        used(name)[...] = array
    for name, buffer in buffers.items():
        context.set_tensor_address(name, int(buffer.device))
    if not context.execute_async_v3(stream.handle):
        raise RuntimeError("the execution was refused; the log says why")
    for name in inputs:
        cuda.memcpy_htod_async(buffers[name].device, used(name), stream)
    for name in outputs:
        cuda.memcpy_dtoh_async(used(name), buffers[name].device, stream)
    stream.synchronize()
    return {name: used(name).copy() for name in outputs}
