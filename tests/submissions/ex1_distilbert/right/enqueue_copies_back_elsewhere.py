# check: ex1/enqueue
# expect: full
# why: results travel back on a second stream, which is the one waited for
def enqueue(context, buffers, stream, inputs):
    outputs = [name for name in buffers if name not in inputs]

    def used(name):
        shape = tuple(context.get_tensor_shape(name))
        return buffers[name].host[: trt.volume(shape)].reshape(shape)

    for name, array in inputs.items():
        if not context.set_input_shape(name, array.shape):
            raise ValueError(f"outside the profile: {name} {array.shape}")
        np.copyto(used(name), array)
        cuda.memcpy_htod_async(buffers[name].device, used(name), stream)
    for name, buffer in buffers.items():
        context.set_tensor_address(name, int(buffer.device))
    if not context.execute_async_v3(stream.handle):
        raise RuntimeError("refused")
    back = cuda.Stream()
    computed = cuda.Event()
    computed.record(stream)
    back.wait_for_event(computed)
    for name in outputs:
        cuda.memcpy_dtoh_async(used(name), buffers[name].device, back)
    back.synchronize()
    return {name: used(name).copy() for name in outputs}
