# check: ex2/preallocate
# expect: full
# keys: 20
# whole: yes
# why: ids and mask lie behind each other and travel in one copy
def preallocated_step(context, stream, copy_logits):
    rows, tokens = context.engine.get_tensor_profile_shape("input_ids", 0)[2]
    for name in INPUTS:
        context.set_input_shape(name, (rows, tokens))
    both = cuda.pagelocked_empty(2 * rows * tokens, np.int64)
    inputs = cuda.mem_alloc(both.nbytes)
    result = cuda.pagelocked_empty(
        trt.volume(context.get_tensor_shape("logits")), trt.nptype(context.engine.get_tensor_dtype("logits"))
    )
    logits = cuda.mem_alloc(result.nbytes)
    context.set_tensor_address("input_ids", int(inputs))
    context.set_tensor_address("logits", int(logits))

    def step(input_ids, attention_mask):
        for name, array in zip(INPUTS, (input_ids, attention_mask)):
            if not context.set_input_shape(name, array.shape):
                raise ValueError("outside the profile")
        count = input_ids.size
        both[:count], both[count : 2 * count] = input_ids.ravel(), attention_mask.ravel()
        cuda.memcpy_htod_async(inputs, both[: 2 * count], stream)
        context.set_tensor_address("attention_mask", int(inputs) + 8 * count)
        if not context.execute_async_v3(stream.handle):
            raise RuntimeError
        last = copy_logits(result, logits, tuple(context.get_tensor_shape("logits")), stream)
        while not stream.is_done():
            pass
        return last.astype("float32")

    return step
