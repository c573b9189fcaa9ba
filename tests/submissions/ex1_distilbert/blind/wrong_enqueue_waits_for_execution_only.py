# check: ex1/enqueue
# expect: wrong
# line: outputs are right
# line: one synchronisation for each batch
# points: 3.5
# note: line and points were added after the first contact, by the corpus's author, with sight of the checks
# why: waits for an event that was recorded before the copies back were enqueued, so the outputs are read too early
def enqueue(context, buffers, stream, inputs):
    """Run one batch: NumPy arrays by input name -> NumPy arrays by output name. ValueError if a shape is refused."""
    outputs = [name for name in buffers if name not in inputs]

    def used(name):
        """The first elements of a host buffer, as many as this batch has, in its shape."""
        shape = tuple(context.get_tensor_shape(name))
        return buffers[name].host[: trt.volume(shape)].reshape(shape)

    done = cuda.Event()
    for name, array in inputs.items():
        if not context.set_input_shape(name, array.shape):
            raise ValueError(f"{name} {array.shape} not allowed")
        used(name)[...] = array
        cuda.memcpy_htod_async(buffers[name].device, used(name), stream)
    for name in buffers:
        context.set_tensor_address(name, int(buffers[name].device))
    ok = context.execute_async_v3(stream.handle)
    if not ok:
        raise RuntimeError("inference failed")
    done.record(stream)
    for name in outputs:
        cuda.memcpy_dtoh_async(used(name), buffers[name].device, stream)
    done.synchronize()
    return {name: used(name).copy() for name in outputs}
