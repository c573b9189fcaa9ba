# check: ex1/buffers
# expect: wrong
# line: each holds the profile's largest shape
# points: 3
# note: line and points were added after the first contact, by the corpus's author, with sight of the checks
# why: every -1 of an output is taken for the batch; an output with a dynamic axis of another size gets the wrong size
@dataclass
class Buffer:
    """Host and device memory of one tensor: `host` is a flat pinned array, `device` an allocation of as many bytes."""

    host: np.ndarray
    device: object


def allocate_buffers(engine, context):
    """A Buffer for every tensor of the engine, by name, large enough for the profile's maximum."""
    names = [engine.get_tensor_name(i) for i in range(engine.num_io_tensors)]
    max_batch = 1
    buffers = {}
    for name in names:
        if engine.get_tensor_mode(name) == trt.TensorIOMode.INPUT:
            shape = tuple(engine.get_tensor_profile_shape(name, 0)[2])
            context.set_input_shape(name, shape)
            max_batch = max(max_batch, shape[0])
        else:
            # the engine says -1 for the dynamic axis, so put in the largest batch
            shape = tuple(max_batch if dim == -1 else dim for dim in engine.get_tensor_shape(name))
        dtype = trt.nptype(engine.get_tensor_dtype(name))
        host = cuda.pagelocked_empty(trt.volume(shape), dtype)
        buffers[name] = Buffer(host, cuda.mem_alloc(host.nbytes))
    return buffers
