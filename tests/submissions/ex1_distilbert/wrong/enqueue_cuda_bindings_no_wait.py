# check: ex1/enqueue
# expect: partly
# line: one synchronisation for each batch
# line: outputs are right
# points: 3.5
# why: through cuda.bindings; cudaStreamQuery asks once and its answer is not looked at
from cuda.bindings import runtime as cudart


def enqueue(context, buffers, stream, inputs):
    outputs = [name for name in buffers if name not in inputs]

    def used(name):
        shape = tuple(context.get_tensor_shape(name))
        return buffers[name].host[: trt.volume(shape)].reshape(shape)

    for name, array in inputs.items():
        if not context.set_input_shape(name, array.shape):
            raise ValueError(f"{name}: {array.shape} lies outside the profile")
        host = used(name)
        host[...] = array
        cudart.cudaMemcpyAsync(int(buffers[name].device), host, host.nbytes, 1, stream.handle)
    for name, buffer in buffers.items():
        context.set_tensor_address(name, int(buffer.device))
    context.execute_async_v3(stream.handle)
    for name in outputs:
        host = used(name)
        cudart.cudaMemcpyAsync(host, int(buffers[name].device), host.nbytes, 2, stream.handle)
    cudart.cudaStreamQuery(stream.handle)
    return {name: used(name).copy() for name in outputs}
