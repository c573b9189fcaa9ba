# check: ex2/preallocate
# expect: wrong
# line: a step allocates nothing: no device memory, no pinned memory, no context
# why: allocates at the first step, and again whenever a step is larger than what is there: in a growing text that is every step, not once for the profile's maximum.
def preallocated_step(context, stream, copy_logits):
    """A step on memory that is allocated once, here, for the profile's largest shape."""
    host, pinned, device = {}, {}, {}

    def step(input_ids, attention_mask):
        for name, array in zip(INPUTS, (input_ids, attention_mask), strict=True):
            if not context.set_input_shape(name, array.shape):
                raise ValueError(f"{name}: {array.shape} lies outside the profile")
        shape = tuple(context.get_tensor_shape("logits"))
        if "logits" not in host or host["logits"].size < trt.volume(shape):
            dtype = trt.nptype(context.engine.get_tensor_dtype("logits"))
            host["logits"] = cuda.pagelocked_empty(trt.volume(shape), dtype)
            device["logits"] = cuda.mem_alloc(host["logits"].nbytes)
        for name, array in zip(INPUTS, (input_ids, attention_mask), strict=True):
            if name not in pinned or pinned[name].size < array.size:
                pinned[name] = cuda.pagelocked_empty(array.size, np.int64)
                device[name] = cuda.mem_alloc(pinned[name].nbytes)
            pinned[name][: array.size] = array.ravel()
            cuda.memcpy_htod_async(device[name], pinned[name][: array.size], stream)
        for name, allocation in device.items():
            context.set_tensor_address(name, int(allocation))
        if not context.execute_async_v3(stream.handle):
            raise RuntimeError("the execution was refused")
        last = copy_logits(host["logits"], device["logits"], shape, stream)
        stream.synchronize()
        return last.astype(np.float32)

    return step
