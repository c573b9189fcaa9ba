# check: ex1/enqueue
# expect: partly
# line: nothing is made anew for each call
# points: 5.5
# why: cudaMalloc for each call, and nothing frees it: addresses are integers, no collector knows of them
from cuda.bindings import runtime as cudart


def enqueue(context, buffers, stream, inputs):
    outputs = [name for name in buffers if name not in inputs]

    def used(name):
        shape = tuple(context.get_tensor_shape(name))
        return buffers[name].host[: trt.volume(shape)].reshape(shape)

    for name, array in inputs.items():
        if not context.set_input_shape(name, array.shape):
            raise ValueError(f"{name}: {array.shape} lies outside the profile")
    device = {name: cudart.cudaMalloc(used(name).nbytes)[1] for name in buffers}
    for name, array in inputs.items():
        host = used(name)
        host[...] = array
        cudart.cudaMemcpyAsync(device[name], host, host.nbytes, 1, stream.handle)
    for name in buffers:
        context.set_tensor_address(name, device[name])
    context.execute_async_v3(stream.handle)
    for name in outputs:
        host = used(name)
        cudart.cudaMemcpyAsync(host, device[name], host.nbytes, 2, stream.handle)
    cudart.cudaStreamSynchronize(stream.handle)
    return {name: used(name).copy() for name in outputs}
