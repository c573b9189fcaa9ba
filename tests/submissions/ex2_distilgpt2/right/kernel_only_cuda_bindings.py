# check: ex2/kernel_only
# expect: full
# whole: yes
# why: the runtime API's events; one pair, used again
from cuda.bindings import runtime as cudart


def value(result):
    if result[0] != cudart.cudaError_t.cudaSuccess:
        raise RuntimeError(cudart.cudaGetErrorName(result[0])[1].decode())
    return result[-1]


def kernel_only(enqueue, stream, repeats=20):
    for _ in range(2):
        enqueue()
    value(cudart.cudaStreamSynchronize(stream.handle))
    start, end = value(cudart.cudaEventCreate()), value(cudart.cudaEventCreate())
    times = []
    for _ in range(repeats):
        value(cudart.cudaEventRecord(start, stream.handle))
        enqueue()
        value(cudart.cudaEventRecord(end, stream.handle))
        value(cudart.cudaEventSynchronize(end))
        times.append(value(cudart.cudaEventElapsedTime(start, end)))
    for event in (start, end):
        value(cudart.cudaEventDestroy(event))
    return float(np.median(times))
