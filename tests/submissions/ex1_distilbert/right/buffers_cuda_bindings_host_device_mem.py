# check: ex1/buffers
# expect: full
# whole: yes
# why: as NVIDIA's samples do it: a class of its own with ctypes pointers, freed when it is collected
import ctypes
import weakref

from cuda.bindings import runtime as cudart


class HostDeviceMem:
    def __init__(self, size, dtype):
        self.nbytes = size * dtype.itemsize
        error, address = cudart.cudaHostAlloc(self.nbytes, cudart.cudaHostAllocDefault)
        assert error == cudart.cudaError_t.cudaSuccess, error
        error, self.device = cudart.cudaMalloc(self.nbytes)
        assert error == cudart.cudaError_t.cudaSuccess, error
        kind = ctypes.POINTER(np.ctypeslib.as_ctypes_type(dtype)) if dtype != np.float16 else None
        if kind is None:
            words = ctypes.cast(address, ctypes.POINTER(ctypes.c_uint16))
            self.host = np.ctypeslib.as_array(words, (size,)).view(np.float16)
        else:
            self.host = np.ctypeslib.as_array(ctypes.cast(address, kind), (size,))
        weakref.finalize(self, cudart.cudaFree, self.device).atexit = False
        weakref.finalize(self, cudart.cudaFreeHost, address).atexit = False


def allocate_buffers(engine, context):
    names = list(engine)
    inputs = [name for name in names if engine.get_tensor_mode(name) == trt.TensorIOMode.INPUT]
    assert all(context.set_input_shape(name, engine.get_tensor_profile_shape(name, 0)[2]) for name in inputs)
    return {
        name: HostDeviceMem(
            trt.volume(context.get_tensor_shape(name)), np.dtype(trt.nptype(engine.get_tensor_dtype(name)))
        )
        for name in names
    }
