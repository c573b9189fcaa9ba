# check: ex1/enqueue
# expect: right
# why: addresses come first and are set only where they differ from what the context has; all shapes before any copy
def enqueue(context, buffers, stream, inputs):
    """Run one batch: NumPy arrays by input name -> NumPy arrays by output name. ValueError if a shape is refused."""
    outputs = [name for name in buffers if name not in inputs]

    def used(name):
        """The first elements of a host buffer, as many as this batch has, in its shape."""
        shape = tuple(context.get_tensor_shape(name))
        return buffers[name].host[: trt.volume(shape)].reshape(shape)

    def bind():
        for name, buffer in buffers.items():
            if context.get_tensor_address(name) != int(buffer.device):
                context.set_tensor_address(name, int(buffer.device))

    def reshape():
        for name, array in inputs.items():
            if context.set_input_shape(name, tuple(array.shape)) is False:
                raise ValueError(f"TensorRT refuses {array.shape} for {name}")

    def upload():
        for name, array in inputs.items():
            pinned = used(name)
            pinned[:] = array
            cuda.memcpy_htod_async(dest=buffers[name].device, src=pinned, stream=stream)

    def execute():
        if not context.execute_async_v3(stream.handle):
            raise RuntimeError(f"not executed, shapes {[array.shape for array in inputs.values()]}")

    def download():
        for name in outputs:
            cuda.memcpy_dtoh_async(dest=used(name), src=buffers[name].device, stream=stream)

    for step in (bind, reshape, upload, execute, download, stream.synchronize):
        step()
    return {name: used(name).copy() for name in outputs}
