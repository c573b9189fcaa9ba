# check: ex2/preallocate
# expect: full
# why: an object whose call is the step; addresses once; an event to wait for
class _Step:
    def __init__(self, context, stream, copy_logits):
        self.context, self.stream, self.copy_logits = context, stream, copy_logits
        engine = context.engine
        high = engine.get_tensor_profile_shape("attention_mask", 0)[2]
        for name in ("input_ids", "attention_mask"):
            assert context.set_input_shape(name, high)
        self.host, self.device = {}, {}
        for i in range(engine.num_io_tensors):
            name = engine.get_tensor_name(i)
            size = int(np.prod(context.get_tensor_shape(name)))
            self.host[name] = cuda.pagelocked_zeros(size, trt.nptype(engine.get_tensor_dtype(name)))
            self.device[name] = cuda.mem_alloc(self.host[name].nbytes + 512)
            context.set_tensor_address(name, int(self.device[name]))
        self.done = cuda.Event()

    def __call__(self, ids, mask):
        for name, array in (("input_ids", ids), ("attention_mask", mask)):
            if self.context.set_input_shape(name, tuple(array.shape)) is False:
                raise ValueError(f"refused: {array.shape}")
        for name, array in (("input_ids", ids), ("attention_mask", mask)):
            view = self.host[name][: array.size].reshape(array.shape)
            np.copyto(view, array)
            cuda.memcpy_htod_async(self.device[name], view, self.stream)
        self.context.execute_async_v3(self.stream.handle)
        rows = self.copy_logits(
            host=self.host["logits"], device=self.device["logits"],
            shape=self.context.get_tensor_shape("logits"), stream=self.stream,
        )
        self.done.record(self.stream)
        self.done.synchronize()
        return np.array(rows, dtype=np.float32)


def preallocated_step(context, stream, copy_logits):
    return _Step(context, stream, copy_logits)
