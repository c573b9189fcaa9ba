# check: ex2/preallocate
# expect: wrong
# line: logits of other engines come back as float32 [batch, vocabulary] too: FP16, of a last-step graph
# why: the pinned array for the logits is always float32, so an FP16 engine's two-byte logits are read as four-byte numbers.
def preallocated_step(context, stream, copy_logits):
    """A step on memory that is allocated once, here, for the profile's largest shape."""
    engine = context.engine
    rows, tokens = engine.get_tensor_profile_shape("input_ids", 0)[2]
    for name in INPUTS:
        context.set_input_shape(name, (rows, tokens))
    host = cuda.pagelocked_empty(trt.volume(context.get_tensor_shape("logits")), np.float32)
    pinned = {name: cuda.pagelocked_empty(rows * tokens, np.int64) for name in INPUTS}
    device = {name: cuda.mem_alloc(8 * rows * tokens) for name in INPUTS}
    device["logits"] = cuda.mem_alloc(host.nbytes)
    for name, allocation in device.items():
        context.set_tensor_address(name, int(allocation))

    def step(input_ids, attention_mask):
        for name, array in zip(INPUTS, (input_ids, attention_mask), strict=True):
            if not context.set_input_shape(name, array.shape):
                raise ValueError(f"{name}: {array.shape} lies outside the profile")
            pinned[name][: array.size] = array.ravel()
            cuda.memcpy_htod_async(device[name], pinned[name][: array.size], stream)
        if not context.execute_async_v3(stream.handle):
            raise RuntimeError("the execution was refused")
        last = copy_logits(host, device["logits"], tuple(context.get_tensor_shape("logits")), stream)
        stream.synchronize()
        return last.copy()

    return step
