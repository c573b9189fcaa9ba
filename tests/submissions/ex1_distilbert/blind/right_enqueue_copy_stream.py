# check: ex1/enqueue
# expect: right
# why: uploads go through a stream of their own; an event makes the given stream wait for them before it executes
def enqueue(context, buffers, stream, inputs):
    """Run one batch: NumPy arrays by input name -> NumPy arrays by output name. ValueError if a shape is refused."""
    outputs = [name for name in buffers if name not in inputs]

    def used(name):
        """The first elements of a host buffer, as many as this batch has, in its shape."""
        shape = tuple(context.get_tensor_shape(name))
        return buffers[name].host[: trt.volume(shape)].reshape(shape)

    refused = [name for name, array in inputs.items() if not context.set_input_shape(name, array.shape)]
    if refused:
        raise ValueError(", ".join(f"{name} {inputs[name].shape}" for name in refused) + ": outside the profile")

    uploads, uploaded = cuda.Stream(), cuda.Event(cuda.event_flags.DISABLE_TIMING)
    for name, array in inputs.items():
        staging = used(name)
        np.copyto(staging, array)
        cuda.memcpy_htod_async(buffers[name].device, staging, uploads)
    uploaded.record(uploads)
    stream.wait_for_event(uploaded)

    for name in buffers:
        if not context.set_tensor_address(name, int(buffers[name].device)):
            raise RuntimeError(f"the engine has no tensor {name}")
    if not context.execute_async_v3(stream_handle=stream.handle):
        raise RuntimeError("TensorRT did not enqueue the batch")
    for name in outputs:
        cuda.memcpy_dtoh_async(used(name), buffers[name].device, stream)
    stream.synchronize()
    return {name: used(name).copy() for name in outputs}
