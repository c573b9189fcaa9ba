# check: ex1/enqueue
# expect: full
# whole: yes
# why: copies and the wait through cuda.bindings.runtime, on the stream that pycuda made
from cuda.bindings import runtime as cudart


def checked(result):
    if result[0] != cudart.cudaError_t.cudaSuccess:
        raise RuntimeError(f"CUDA: {result[0]!r}")


def enqueue(context, buffers, stream, inputs):
    outputs = [name for name in buffers if name not in inputs]

    def used(name):
        shape = tuple(context.get_tensor_shape(name))
        return buffers[name].host[: trt.volume(shape)].reshape(shape)

    for name, array in inputs.items():
        if not context.set_input_shape(name, array.shape):
            raise ValueError(f"{name}: {array.shape} lies outside the profile")
    kind = cudart.cudaMemcpyKind
    for name, array in inputs.items():
        staged = used(name)
        staged[...] = array
        checked(
            cudart.cudaMemcpyAsync(
                int(buffers[name].device), staged, staged.nbytes, kind.cudaMemcpyHostToDevice, stream.handle
            )
        )
    for name, buffer in buffers.items():
        context.set_tensor_address(name, int(buffer.device))
    if not context.execute_async_v3(stream.handle):
        raise RuntimeError("the execution was refused")
    for name in outputs:
        target = used(name)
        device = int(buffers[name].device)
        checked(
            cudart.cudaMemcpyAsync(
                target.ctypes.data, device, target.nbytes, kind.cudaMemcpyDeviceToHost, stream.handle
            )
        )
    checked(cudart.cudaStreamSynchronize(stream.handle))
    return {name: used(name).copy() for name in outputs}
