# check: ex1/enqueue
# expect: full
# why: pinned and device memory of exactly the batch's size, made for each call and freed after it
def enqueue(context, buffers, stream, inputs):
    outputs = [name for name in buffers if name not in inputs]
    host, device = {}, {}
    for name, array in inputs.items():
        if not context.set_input_shape(name, array.shape):
            raise ValueError(f"{array.shape} is refused for {name}")
        host[name] = cuda.pagelocked_empty(array.shape, buffers[name].host.dtype)
        host[name][...] = array
    for name in outputs:
        host[name] = cuda.pagelocked_empty(tuple(context.get_tensor_shape(name)), buffers[name].host.dtype)
    for name, array in host.items():
        device[name] = cuda.mem_alloc(array.nbytes)
        context.set_tensor_address(name, int(device[name]))
    for name in inputs:
        cuda.memcpy_htod_async(device[name], host[name], stream)
    if not context.execute_async_v3(stream.handle):
        raise RuntimeError("refused")
    for name in outputs:
        cuda.memcpy_dtoh_async(host[name], device[name], stream)
    stream.synchronize()
    return {name: host[name] for name in outputs}
