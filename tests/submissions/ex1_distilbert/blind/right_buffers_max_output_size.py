# check: ex1/buffers
# expect: right
# why: outputs are sized by context.get_max_output_size, which needs input shapes, but not the largest
@dataclass
class Buffer:
    """Host and device memory of one tensor: `host` is a flat pinned array, `device` an allocation of as many bytes."""

    host: np.ndarray
    device: object


def buffer_of(elements, dtype):
    host = cuda.pagelocked_empty(elements, dtype)
    return Buffer(host, cuda.mem_alloc(host.nbytes))


def allocate_buffers(engine, context):
    """A Buffer for every tensor of the engine, by name, large enough for the profile's maximum."""
    names = [engine.get_tensor_name(i) for i in range(engine.num_io_tensors)]

    for name in names:
        if engine.get_tensor_mode(name) == trt.TensorIOMode.INPUT:
            context.set_input_shape(name, engine.get_tensor_profile_shape(name, 0)[0])

    def elements(name, dtype):
        if engine.get_tensor_mode(name) == trt.TensorIOMode.INPUT:
            return trt.volume(engine.get_tensor_profile_shape(name, 0)[2])
        return -(-context.get_max_output_size(name) // dtype.itemsize)

    types = {name: np.dtype(trt.nptype(engine.get_tensor_dtype(name))) for name in names}
    return {name: buffer_of(elements(name, dtype), dtype) for name, dtype in types.items()}
