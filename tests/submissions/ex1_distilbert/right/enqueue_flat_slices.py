# check: ex1/enqueue
# expect: full
# why: flat slices and contiguous copies by hand, with helpers outside of the function
def elements(context, name):
    count = 1
    for dimension in context.get_tensor_shape(name):
        count *= dimension
    return count


def upload(context, buffer, name, array, stream):
    flat = np.ascontiguousarray(array).ravel()
    part = buffer.host[: flat.size]
    part[:] = flat
    cuda.memcpy_htod_async(buffer.device, part, stream)


def enqueue(context, buffers, stream, inputs):
    for name, array in inputs.items():
        if not context.set_input_shape(name, tuple(array.shape)):
            raise ValueError(f"{name}: no profile has {array.shape}")
    for name, array in inputs.items():
        upload(context, buffers[name], name, array, stream)
    for name, buffer in buffers.items():
        context.set_tensor_address(name, int(buffer.device))
    assert context.execute_async_v3(stream.handle), "refused"
    parts = {}
    for name in buffers.keys() - inputs.keys():
        parts[name] = buffers[name].host[: elements(context, name)]
        cuda.memcpy_dtoh_async(parts[name], buffers[name].device, stream)
    stream.synchronize()
    return {name: part.reshape(tuple(context.get_tensor_shape(name))).copy() for name, part in parts.items()}
