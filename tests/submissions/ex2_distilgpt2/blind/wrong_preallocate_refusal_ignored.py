# check: ex2/preallocate
# expect: wrong
# line: a shape outside the profile raises a ValueError, before anything is copied
# why: set_input_shape's False is ignored, so a shape outside the profile gives no ValueError (and runs with the shape that was set before).
def preallocated_step(context, stream, copy_logits):
    """A step on memory that is allocated once, here, for the profile's largest shape."""
    engine = context.engine
    rows, tokens = engine.get_tensor_profile_shape("input_ids", 0)[2]
    for name in INPUTS:
        context.set_input_shape(name, (rows, tokens))
    host = cuda.pagelocked_empty(
        trt.volume(context.get_tensor_shape("logits")), trt.nptype(engine.get_tensor_dtype("logits"))
    )
    pinned = {name: cuda.pagelocked_empty(2 * rows * tokens, np.int64) for name in INPUTS}
    device = {name: cuda.mem_alloc(16 * rows * tokens) for name in INPUTS}
    device["logits"] = cuda.mem_alloc(host.nbytes)
    for name, allocation in device.items():
        context.set_tensor_address(name, int(allocation))

    def step(input_ids, attention_mask):
        for name, array in zip(INPUTS, (input_ids, attention_mask), strict=True):
            context.set_input_shape(name, array.shape)
            pinned[name][: array.size] = array.ravel()
            cuda.memcpy_htod_async(device[name], pinned[name][: array.size], stream)
        if not context.execute_async_v3(stream.handle):
            raise RuntimeError("the execution was refused")
        last = copy_logits(host, device["logits"], tuple(context.get_tensor_shape("logits")), stream)
        stream.synchronize()
        return last.astype(np.float32)

    return step
