# check: ex1/buffers
# expect: full
# keys: 20
# why: sizes rounded up to the next power of two
def rounded(n):
    return 1 << max(0, n - 1).bit_length()


def allocate_buffers(engine, context):
    names = [engine.get_tensor_name(i) for i in range(engine.num_io_tensors)]
    inputs = [name for name in names if engine.get_tensor_mode(name) == trt.TensorIOMode.INPUT]
    for name in inputs:
        *_, largest = engine.get_tensor_profile_shape(name, 0)
        if not context.set_input_shape(name, largest):
            raise ValueError(name)
    result = dict()
    for name in names:
        dtype = np.dtype(trt.nptype(engine.get_tensor_dtype(name)))
        elements = rounded(trt.volume(context.get_tensor_shape(name)))
        result[name] = Buffer(cuda.pagelocked_empty((elements,), dtype), cuda.mem_alloc(elements * dtype.itemsize))
    return result
