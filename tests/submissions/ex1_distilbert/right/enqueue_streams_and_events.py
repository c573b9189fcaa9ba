# check: ex1/enqueue
# expect: full
# keys: 20
# whole: yes
# why: each input is copied on a stream of its own; the execution waits for their events
def enqueue(context, buffers, stream, inputs):
    outputs = [name for name in buffers if name not in inputs]

    def used(name):
        shape = tuple(context.get_tensor_shape(name))
        return buffers[name].host[: trt.volume(shape)].reshape(shape)

    for name, array in inputs.items():
        if not context.set_input_shape(name, array.shape):
            raise ValueError(f"{name} cannot have the shape {array.shape}")
    for name, array in inputs.items():
        copying = cuda.Stream()
        used(name)[...] = array
        cuda.memcpy_htod_async(buffers[name].device, used(name), copying)
        stream.wait_for_event(cuda.Event().record(copying))
    for name, buffer in buffers.items():
        context.set_tensor_address(name, int(buffer.device))
    if not context.execute_async_v3(stream.handle):
        raise RuntimeError("refused")
    for name in outputs:
        cuda.memcpy_dtoh_async(used(name), buffers[name].device, stream)
    stream.synchronize()
    return {name: used(name).copy() for name in outputs}
