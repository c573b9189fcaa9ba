# check: ex1/enqueue
# expect: full
# whole: yes
# why: a CUDA graph for each shape and set of buffers: the first call enqueues and then captures, later ones launch
from cuda.bindings import runtime as cudart

GRAPHS = {}


def cuda_ok(result):
    if result[0] != cudart.cudaError_t.cudaSuccess:
        raise RuntimeError(cudart.cudaGetErrorString(result[0])[1].decode())
    return result[-1]


def enqueue(context, buffers, stream, inputs):
    outputs = [name for name in buffers if name not in inputs]
    kind = cudart.cudaMemcpyKind

    def used(name):
        shape = tuple(context.get_tensor_shape(name))
        return buffers[name].host[: trt.volume(shape)].reshape(shape)

    def work():
        for name in inputs:
            host = used(name)
            cuda_ok(
                cudart.cudaMemcpyAsync(
                    int(buffers[name].device), host, host.nbytes, kind.cudaMemcpyHostToDevice, stream.handle
                )
            )
        if not context.execute_async_v3(stream.handle):
            raise RuntimeError("the execution was refused")
        for name in outputs:
            host = used(name)
            cuda_ok(
                cudart.cudaMemcpyAsync(
                    host, int(buffers[name].device), host.nbytes, kind.cudaMemcpyDeviceToHost, stream.handle
                )
            )

    for name, array in inputs.items():
        if not context.set_input_shape(name, array.shape):
            raise ValueError(f"{name}: {array.shape} lies outside the profile")
    for name, array in inputs.items():
        used(name)[...] = array
    for name, buffer in buffers.items():
        context.set_tensor_address(name, int(buffer.device))
    # the objects themselves are kept: an id or an address may belong to another one later
    key = (id(context), stream.handle, *sorted((n, a.shape, int(buffers[n].device)) for n, a in inputs.items()))
    if key in GRAPHS:
        cuda_ok(cudart.cudaGraphLaunch(GRAPHS[key][0], stream.handle))
        cuda_ok(cudart.cudaStreamSynchronize(stream.handle))
        return {name: used(name).copy() for name in outputs}
    work()
    cuda_ok(cudart.cudaStreamSynchronize(stream.handle))
    results = {name: used(name).copy() for name in outputs}
    cuda_ok(
        cudart.cudaStreamBeginCapture(stream.handle, cudart.cudaStreamCaptureMode.cudaStreamCaptureModeThreadLocal)
    )
    work()
    graph = cuda_ok(cudart.cudaStreamEndCapture(stream.handle))
    GRAPHS[key] = (cuda_ok(cudart.cudaGraphInstantiate(graph, 0)), context, buffers)
    cuda_ok(cudart.cudaGraphDestroy(graph))
    return results
