# check: ex2/preallocate
# expect: full
# whole: yes
# why: memory and copies of cuda.bindings; copy_logits gets an address and the stream that it was given
import ctypes

from cuda.bindings import runtime as cudart


def ask(function, *arguments):
    error, *values = function(*arguments)
    if error != cudart.cudaError_t.cudaSuccess:
        raise RuntimeError(f"{function.__name__}: {cudart.cudaGetErrorString(error)[1].decode()}")
    return values[0] if values else None


def preallocated_step(context, stream, copy_logits):
    engine = context.engine
    for name in ("input_ids", "attention_mask"):
        context.set_input_shape(name, engine.get_tensor_profile_shape(name, 0)[2])
    host, device = {}, {}
    for name in (engine.get_tensor_name(i) for i in range(engine.num_io_tensors)):
        dtype = np.dtype(trt.nptype(engine.get_tensor_dtype(name)))
        nbytes = trt.volume(context.get_tensor_shape(name)) * dtype.itemsize
        memory = (ctypes.c_ubyte * nbytes).from_address(ask(cudart.cudaMallocHost, nbytes))
        host[name] = np.frombuffer(memory, dtype)
        device[name] = ask(cudart.cudaMalloc, nbytes)
        context.set_tensor_address(name, device[name])
    upload = cudart.cudaMemcpyKind.cudaMemcpyHostToDevice

    def step(input_ids, attention_mask):
        given = {"input_ids": input_ids, "attention_mask": attention_mask}
        for name, array in given.items():
            if not context.set_input_shape(name, array.shape):
                raise ValueError(f"{name}: {array.shape} is outside the profile")
        for name, array in given.items():
            part = host[name][: array.size]
            part[:] = array.reshape(-1)
            ask(cudart.cudaMemcpyAsync, device[name], part.ctypes.data, part.nbytes, upload, stream.handle)
        if not context.execute_async_v3(stream.handle):
            raise RuntimeError("the execution was refused")
        last = copy_logits(host["logits"], device["logits"], tuple(context.get_tensor_shape("logits")), stream)
        ask(cudart.cudaStreamSynchronize, stream.handle)
        return last.astype(np.float32)

    return step
