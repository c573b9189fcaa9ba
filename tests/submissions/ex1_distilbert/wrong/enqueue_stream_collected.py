# check: ex1/enqueue
# expect: wrong
# line: a batch runs
# points: 0
# why: the execution runs on a stream that is gone: pycuda destroys it with its object
def enqueue(context, buffers, stream, inputs):
    """Run one batch: NumPy arrays by input name -> NumPy arrays by output name. ValueError if a shape is refused."""
    outputs = [name for name in buffers if name not in inputs]

    def used(name):
        """The first elements of a host buffer, as many as this batch has, in its shape."""
        shape = tuple(context.get_tensor_shape(name))
        return buffers[name].host[: trt.volume(shape)].reshape(shape)

    for name, array in inputs.items():
        if not context.set_input_shape(name, array.shape):
            raise ValueError(f"{name}: {array.shape} lies outside the profile")
        used(name)[...] = array
        cuda.memcpy_htod_async(buffers[name].device, used(name), stream)
    for name, buffer in buffers.items():
        context.set_tensor_address(name, int(buffer.device))
    if not context.execute_async_v3(cuda.Stream(1).handle):
        raise RuntimeError("the execution was refused; the log says why")
    for name in outputs:
        cuda.memcpy_dtoh_async(used(name), buffers[name].device, stream)
    stream.synchronize()
    return {name: used(name).copy() for name in outputs}
