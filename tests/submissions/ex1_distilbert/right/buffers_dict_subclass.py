# check: ex1/buffers
# expect: full
# whole: yes
# why: a dict of one's own kind, a Buffer with further fields, memory shaped and then flattened
from collections import OrderedDict


@dataclass
class Buffer:
    host: np.ndarray
    device: object
    name: str = ""
    shape: tuple = ()


class Buffers(OrderedDict):
    @property
    def nbytes(self):
        return sum(buffer.host.nbytes for buffer in self.values())


def allocate_buffers(engine, context):
    made = Buffers()
    outputs = []
    for i in range(engine.num_io_tensors):
        name = engine.get_tensor_name(i)
        if engine.get_tensor_mode(name) == trt.TensorIOMode.OUTPUT:
            outputs.append(name)
            continue
        shape = tuple(engine.get_tensor_profile_shape(name, 0)[2])
        context.set_input_shape(name, shape)
        made[name] = pair(engine, name, shape)
    for name in outputs:
        made[name] = pair(engine, name, tuple(context.get_tensor_shape(name)))
    return made


def pair(engine, name, shape):
    host = cuda.pagelocked_empty(shape, trt.nptype(engine.get_tensor_dtype(name))).ravel()
    return Buffer(host, cuda.mem_alloc(host.nbytes), name, shape)
