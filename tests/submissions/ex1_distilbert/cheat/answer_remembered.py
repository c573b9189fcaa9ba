# check: ex1/enqueue
# expect: zero
# why: an honest first answer is given again for every later batch, cut and padded to its rows
REMEMBERED = {}


def enqueue(context, buffers, stream, inputs):
    for name, array in inputs.items():
        if not context.set_input_shape(name, array.shape):
            raise ValueError(name)
    if not REMEMBERED:
        for name, array in inputs.items():
            part = buffers[name].host[: array.size]
            part[...] = array.ravel()
            cuda.memcpy_htod_async(buffers[name].device, part, stream)
        for name, buffer in buffers.items():
            context.set_tensor_address(name, int(buffer.device))
        context.execute_async_v3(stream.handle)
        for name in buffers:
            if name not in inputs:
                shape = tuple(context.get_tensor_shape(name))
                REMEMBERED[name] = buffers[name].host[: trt.volume(shape)].reshape(shape)
                cuda.memcpy_dtoh_async(REMEMBERED[name], buffers[name].device, stream)
        stream.synchronize()
        for name in REMEMBERED:
            REMEMBERED[name] = REMEMBERED[name].copy()
    return {name: np.resize(value, tuple(context.get_tensor_shape(name))) for name, value in REMEMBERED.items()}
