# check: ex2/preallocate
# expect: partly
# line: a step allocates nothing
# line: the profile's largest shape
# why: allocates at the first call, for its shape, and again where that is too small
def preallocated_step(context, stream, copy_logits):
    host, device = {}, {}

    def step(input_ids, attention_mask):
        inputs = dict(zip(INPUTS, (input_ids, attention_mask), strict=True))
        for name, array in inputs.items():
            if not context.set_input_shape(name, array.shape):
                raise ValueError(f"{name}: {array.shape} lies outside the profile")
        shape = tuple(context.get_tensor_shape("logits"))
        for name in (*INPUTS, "logits"):
            size = trt.volume(context.get_tensor_shape(name))
            if name not in host or host[name].size < size:
                host[name] = cuda.pagelocked_empty(size, trt.nptype(context.engine.get_tensor_dtype(name)))
                device[name] = cuda.mem_alloc(host[name].nbytes)
            context.set_tensor_address(name, int(device[name]))
        for name, array in inputs.items():
            pinned = host[name][: array.size]
            pinned[:] = array.ravel()
            cuda.memcpy_htod_async(device[name], pinned, stream)
        context.execute_async_v3(stream.handle)
        last = copy_logits(host["logits"], device["logits"], shape, stream)
        stream.synchronize()
        return last.astype(np.float32)

    return step
