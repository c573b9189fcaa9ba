# check: ex1/buffers
# expect: right
# why: an ExitStack gives back what was allocated if a later allocation fails; bytes come from the engine, names by [i]
from contextlib import ExitStack


@dataclass
class Buffer:
    """Host and device memory of one tensor: `host` is a flat pinned array, `device` an allocation of as many bytes."""

    host: np.ndarray
    device: object


def allocate_buffers(engine, context):
    """A Buffer for every tensor of the engine, by name, large enough for the profile's maximum."""
    names = [engine.get_tensor_name(i) for i in range(engine.num_io_tensors)]
    inputs = [name for name in names if engine.get_tensor_mode(name) == trt.TensorIOMode.INPUT]
    for name in inputs:
        _, _, largest = engine.get_tensor_profile_shape(name, 0)
        if not context.set_input_shape(name, tuple(largest)):
            raise RuntimeError(f"{name}: the profile's own maximum {tuple(largest)} was refused")

    with ExitStack() as undo:
        buffers = {}
        for name in names:
            count = int(np.prod(tuple(context.get_tensor_shape(name)), dtype=np.int64))
            device = cuda.mem_alloc(int(count * engine.get_tensor_dtype(name).itemsize))
            undo.callback(device.free)
            host = cuda.pagelocked_zeros((count,), np.dtype(trt.nptype(engine.get_tensor_dtype(name))))
            buffers[name] = Buffer(host=host, device=device)
        undo.pop_all()  # all is well: keep it
    return buffers
