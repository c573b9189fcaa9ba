# check: ex2/kernel_only
# expect: full
# why: the driver API's events, all recorded first, asked until the last has come
from cuda.bindings import driver


def kernel_only(enqueue, stream, repeats=20):
    for _ in range(3):
        enqueue()
    assert driver.cuCtxSynchronize()[0] == driver.CUresult.CUDA_SUCCESS
    pairs = []
    for _ in range(repeats):
        pair = [driver.cuEventCreate(driver.CUevent_flags.CU_EVENT_DEFAULT)[1] for _ in range(2)]
        driver.cuEventRecord(pair[0], stream.handle)
        enqueue()
        driver.cuEventRecord(pair[1], stream.handle)
        pairs.append(pair)
    while driver.cuEventQuery(pairs[-1][1])[0] == driver.CUresult.CUDA_ERROR_NOT_READY:
        pass
    return sorted(driver.cuEventElapsedTime(*pair)[1] for pair in pairs)[repeats // 2]
