# check: ex1/buffers
# expect: zero
# why: objects that lie about their class, and whose methods raise, recurse or never end
class Hostile:
    @property
    def __class__(self):
        return np.ndarray

    @property
    def __array_interface__(self):
        return {"data": (id(self), False), "shape": (1 << 20,), "typestr": "<i8", "version": 3}

    def __array__(self, *arguments, **named):
        raise SystemExit("array")

    def __repr__(self):
        return "x" * (1 << 28)

    __str__ = __repr__

    def __eq__(self, other):
        return True

    __hash__ = lambda self: 1

    def __int__(self):
        return 1 << 4000

    __index__ = __int__

    def __float__(self):
        return self.__float__()

    def __reduce__(self):
        import os

        return os._exit, (0,)

    def __getattr__(self, name):
        return self


@dataclass
class Buffer:
    host: object
    device: object


def allocate_buffers(engine, context):
    return {engine.get_tensor_name(i): Buffer(Hostile(), Hostile()) for i in range(engine.num_io_tensors)}
