# check: ex1/buffers
# expect: partly
# line: each holds the profile's largest shape
# line: all host memory is pinned
# line: device memory is as large
# points: 1
# why: pageable arrays of a subclass that claims the address of the one pinned buffer there is
@dataclass
class Buffer:
    host: np.ndarray
    device: object


REAL = cuda.pagelocked_empty(64, np.uint8)
ONE = cuda.mem_alloc(64)


class Claimed(np.ndarray):
    @property
    def __array_interface__(self):
        return REAL.__array_interface__

    @property
    def nbytes(self):
        return 1 << 20

    @property
    def size(self):
        return 1 << 20


def allocate_buffers(engine, context):
    made = {}
    for i in range(engine.num_io_tensors):
        name = engine.get_tensor_name(i)
        dtype = trt.nptype(engine.get_tensor_dtype(name))
        made[name] = Buffer(np.zeros(4, dtype).view(Claimed), ONE)
    return made
