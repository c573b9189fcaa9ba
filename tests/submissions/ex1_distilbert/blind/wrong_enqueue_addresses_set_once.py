# check: ex1/enqueue
# expect: wrong
# line: a second set of buffers is used (no line says this)
# points: 4.5
# note: line and points were added after the first contact, by the corpus's author, with sight of the checks
# why: addresses are set only where the context has none yet, so that a second set of buffers is never used
def enqueue(context, buffers, stream, inputs):
    """Run one batch: NumPy arrays by input name -> NumPy arrays by output name. ValueError if a shape is refused."""
    outputs = [name for name in buffers if name not in inputs]

    def used(name):
        """The first elements of a host buffer, as many as this batch has, in its shape."""
        shape = tuple(context.get_tensor_shape(name))
        return buffers[name].host[: trt.volume(shape)].reshape(shape)

    for name, array in inputs.items():
        if not context.set_input_shape(name, array.shape):
            raise ValueError(f"shape {array.shape} of {name} is not in the profile")
        used(name)[...] = array
        cuda.memcpy_htod_async(buffers[name].device, used(name), stream)
    for name, buffer in buffers.items():
        if not context.get_tensor_address(name):  # the buffers stay the same, once is enough
            context.set_tensor_address(name, int(buffer.device))
    if not context.execute_async_v3(stream.handle):
        raise RuntimeError("execute_async_v3 failed")
    for name in outputs:
        cuda.memcpy_dtoh_async(used(name), buffers[name].device, stream)
    stream.synchronize()
    return {name: used(name).copy() for name in outputs}
