# check: ex1/buffers
# expect: wrong
# line: each holds the profile's largest shape, in a flat array
# points: 3
# note: line and points were added after the first contact, by the corpus's author, with sight of the checks
# why: the pinned arrays have the tensor's shape instead of being flat; slicing them by elements works at full size only
@dataclass
class Buffer:
    """Host and device memory of one tensor: `host` is a flat pinned array, `device` an allocation of as many bytes."""

    host: np.ndarray
    device: object


def allocate_buffers(engine, context):
    """A Buffer for every tensor of the engine, by name, large enough for the profile's maximum."""
    names = [engine.get_tensor_name(i) for i in range(engine.num_io_tensors)]
    for name in names:
        if engine.get_tensor_mode(name) == trt.TensorIOMode.INPUT:
            context.set_input_shape(name, engine.get_tensor_profile_shape(name, 0)[2])
    buffers = {}
    for name in names:
        shape = tuple(context.get_tensor_shape(name))
        dtype = trt.nptype(engine.get_tensor_dtype(name))
        host = cuda.pagelocked_empty(shape, dtype)
        device = cuda.mem_alloc(host.nbytes)
        buffers[name] = Buffer(host, device)
    return buffers
