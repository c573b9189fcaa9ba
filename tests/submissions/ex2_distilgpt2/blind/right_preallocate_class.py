# check: ex2/preallocate
# expect: right
# why: a class with __call__; the size of the logits is computed from the engine's shape with its -1 replaced, so the context's shapes are not touched before the first step; addresses set at every step.
def preallocated_step(context, stream, copy_logits):
    """A step on memory that is allocated once, here, for the profile's largest shape."""

    class Step:
        def __init__(self):
            engine = context.engine
            rows, tokens = engine.get_tensor_profile_shape("input_ids", 0)[2]
            shape = tuple(engine.get_tensor_shape("logits"))
            size = rows * shape[-1] * (tokens if len(shape) == 3 else 1)
            self.logits = cuda.pagelocked_zeros(int(size), trt.nptype(engine.get_tensor_dtype("logits")))
            self.inputs = {name: cuda.pagelocked_zeros(rows * tokens, np.int64) for name in INPUTS}
            self.memory = {name: cuda.mem_alloc(a.nbytes) for name, a in self.inputs.items()}
            self.memory["logits"] = cuda.mem_alloc(self.logits.nbytes)

        def __call__(self, input_ids, attention_mask):
            given = {"input_ids": input_ids, "attention_mask": attention_mask}
            refused = [name for name, a in given.items() if not context.set_input_shape(name, a.shape)]
            if refused:
                raise ValueError(f"refused: {refused}, {input_ids.shape}, {attention_mask.shape}")
            for name, array in given.items():
                np.copyto(self.inputs[name][: array.size], array.ravel())
                cuda.memcpy_htod_async(self.memory[name], self.inputs[name][: array.size], stream)
            for name, memory in self.memory.items():
                context.set_tensor_address(name, int(memory))
            if not context.execute_async_v3(stream.handle):
                raise RuntimeError("the execution was refused")
            shape = tuple(context.get_tensor_shape("logits"))
            view = copy_logits(self.logits, self.memory["logits"], shape, stream)
            done = cuda.Event()
            done.record(stream)
            done.synchronize()
            return view.astype(np.float32)

    return Step()
