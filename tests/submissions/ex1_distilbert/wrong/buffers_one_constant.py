# check: ex1/buffers
# expect: partly
# line: device memory is as large as
# points: 3
# why: every buffer has three million elements, whatever the profile says
def allocate_buffers(engine, context):
    buffers = {}
    for i in range(engine.num_io_tensors):
        name = engine.get_tensor_name(i)
        host = cuda.pagelocked_empty(3_000_000, trt.nptype(engine.get_tensor_dtype(name)))
        buffers[name] = Buffer(host, cuda.mem_alloc(host.nbytes))
    return buffers
