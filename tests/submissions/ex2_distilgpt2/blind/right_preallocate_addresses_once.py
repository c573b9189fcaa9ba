# check: ex2/preallocate
# expect: right
# why: addresses are bound once; inputs go through pinned staging of the largest size; the logits' size comes from the context at the profile's largest shape.
def preallocated_step(context, stream, copy_logits):
    """A step on memory that is allocated once, here, for the profile's largest shape."""
    largest = tuple(context.engine.get_tensor_profile_shape("input_ids", 0)[2])
    for name in INPUTS:
        if not context.set_input_shape(name, largest):
            raise ValueError(f"{name}: {largest} lies outside the profile")
    elements = trt.volume(context.get_tensor_shape("logits"))
    dtype = np.dtype(trt.nptype(context.engine.get_tensor_dtype("logits")))
    staging, device = {}, {}
    for name in INPUTS:
        kind = trt.nptype(context.engine.get_tensor_dtype(name))
        staging[name] = cuda.pagelocked_empty(trt.volume(largest), kind)
        device[name] = cuda.mem_alloc(staging[name].nbytes)
    host = cuda.pagelocked_empty(elements, dtype)
    device["logits"] = cuda.mem_alloc(host.nbytes)
    for name, allocation in device.items():
        context.set_tensor_address(name, int(allocation))

    def step(input_ids, attention_mask):
        for name, array in zip(INPUTS, (input_ids, attention_mask), strict=True):
            if not context.set_input_shape(name, array.shape):
                raise ValueError(f"{name}: {array.shape} lies outside the profile")
        for name, array in zip(INPUTS, (input_ids, attention_mask), strict=True):
            part = staging[name][: array.size]
            part.reshape(array.shape)[...] = array
            cuda.memcpy_htod_async(device[name], part, stream)
        if not context.execute_async_v3(stream.handle):
            raise RuntimeError("the execution was refused")
        last = copy_logits(host, device["logits"], tuple(context.get_tensor_shape("logits")), stream)
        stream.synchronize()
        return np.array(last, dtype=np.float32)

    return step
