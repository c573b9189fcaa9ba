# check: ex1/enqueue
# expect: full
# why: the driver API: its own pinned and device memory, an own stream for the copies back, ordered by an event
import ctypes

from cuda.bindings import driver


def good(result):
    assert result[0] == driver.CUresult.CUDA_SUCCESS, driver.cuGetErrorString(result[0])
    return result[1] if len(result) > 1 else None


def pinned(shape, dtype):
    nbytes = int(np.prod(shape)) * np.dtype(dtype).itemsize
    address = good(driver.cuMemHostAlloc(nbytes, 0))
    memory = (ctypes.c_char * nbytes).from_address(address)
    return address, np.frombuffer(memory, dtype).reshape(shape)


def enqueue(context, buffers, stream, inputs):
    host, device, taken = {}, {}, []
    for name, array in inputs.items():
        if not context.set_input_shape(name, array.shape):
            raise ValueError(f"{array.shape} is refused for {name}")
    back = good(driver.cuStreamCreate(driver.CUstream_flags.CU_STREAM_NON_BLOCKING))
    done = good(driver.cuEventCreate(driver.CUevent_flags.CU_EVENT_DISABLE_TIMING))
    try:
        for name in buffers:
            address, host[name] = pinned(tuple(context.get_tensor_shape(name)), buffers[name].host.dtype)
            taken.append(address)
            device[name] = good(driver.cuMemAlloc(host[name].nbytes))
            context.set_tensor_address(name, int(device[name]))
        for name, array in inputs.items():
            host[name][...] = array
            good(driver.cuMemcpyHtoDAsync(device[name], host[name], host[name].nbytes, stream.handle))
        if not context.execute_async_v3(stream.handle):
            raise RuntimeError("refused")
        good(driver.cuEventRecord(done, stream.handle))
        good(driver.cuStreamWaitEvent(back, done, 0))
        outputs = [name for name in buffers if name not in inputs]
        for name in outputs:
            good(driver.cuMemcpyDtoHAsync(host[name].ctypes.data, device[name], host[name].nbytes, back))
        good(driver.cuStreamSynchronize(back))
        return {name: host[name].copy() for name in outputs}
    finally:
        for address in taken:
            good(driver.cuMemFreeHost(address))
        for pointer in device.values():
            good(driver.cuMemFree(pointer))
        good(driver.cuEventDestroy(done))
        good(driver.cuStreamDestroy(back))
