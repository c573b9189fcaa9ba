# check: ex1/buffers
# expect: full
# whole: yes
# why: NVIDIA's own bindings in the place of pycuda: addresses are integers, arrays lie over cudaMallocHost's memory
import ctypes

from cuda.bindings import runtime as cudart


def cuda_call(result):
    error, *values = result
    if error != cudart.cudaError_t.cudaSuccess:
        raise RuntimeError(cudart.cudaGetErrorString(error)[1].decode())
    return values[0] if values else None


def allocate_buffers(engine, context):
    names = [engine.get_tensor_name(i) for i in range(engine.num_io_tensors)]
    for name in names:
        if engine.get_tensor_mode(name) == trt.TensorIOMode.INPUT:
            context.set_input_shape(name, engine.get_tensor_profile_shape(name, 0)[2])
    buffers = {}
    for name in names:
        dtype = np.dtype(trt.nptype(engine.get_tensor_dtype(name)))
        size = trt.volume(context.get_tensor_shape(name))
        nbytes = size * dtype.itemsize
        pinned = (ctypes.c_ubyte * nbytes).from_address(cuda_call(cudart.cudaMallocHost(nbytes)))
        buffers[name] = Buffer(np.frombuffer(pinned, dtype), cuda_call(cudart.cudaMalloc(nbytes)))
    return buffers
