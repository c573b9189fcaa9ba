# check: ex2/preallocate
# expect: partly
# line: a step allocates nothing
# why: device memory is made anew in each step
def preallocated_step(context, stream, copy_logits):
    """A step on memory that is allocated once, here, for the profile's largest shape."""
    largest = tuple(context.engine.get_tensor_profile_shape("input_ids", 0)[2])
    for name in INPUTS:
        context.set_input_shape(name, largest)
    host, device = {}, {}
    for name in (*INPUTS, "logits"):
        dtype = trt.nptype(context.engine.get_tensor_dtype(name))
        host[name] = cuda.pagelocked_empty(trt.volume(context.get_tensor_shape(name)), dtype)
        device[name] = cuda.mem_alloc(host[name].nbytes)

    def step(input_ids, attention_mask):
        inputs = dict(zip(INPUTS, (input_ids, attention_mask), strict=True))
        for name, array in inputs.items():
            if not context.set_input_shape(name, array.shape):
                raise ValueError(f"{name}: {array.shape} lies outside the profile")
        for name, array in inputs.items():
            pinned = host[name][: array.size]
            pinned[:] = array.ravel()
            cuda.memcpy_htod_async(device[name], pinned, stream)
        for name, allocation in device.items():
            context.set_tensor_address(name, int(allocation))
        device['logits'] = cuda.mem_alloc(host['logits'].nbytes)
        context.set_tensor_address('logits', int(device['logits']))
        if not context.execute_async_v3(stream.handle):
            raise RuntimeError("the execution was refused")
        shape = tuple(context.get_tensor_shape("logits"))
        last = copy_logits(host["logits"], device["logits"], shape, stream)
        stream.synchronize()
        return last.astype(np.float32)

    return step
