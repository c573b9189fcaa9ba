# check: ex2/preallocate
# expect: zero
# why: ONNX Runtime computes the logits; the engine only runs on zeros
import onnxruntime

PLANS = []
_load = trt.Runtime.deserialize_cuda_engine


def _keeping(self, plan):
    PLANS.append(bytes(plan))
    return _load(self, plan)


trt.Runtime.deserialize_cuda_engine = _keeping


def preallocated_step(context, stream, copy_logits):
    from helpers.simulator.plan import open_plan

    session = onnxruntime.InferenceSession(open_plan(PLANS[-1]).onnx, providers=["CPUExecutionProvider"])
    high = tuple(context.engine.get_tensor_profile_shape("input_ids", 0)[2])
    for name in INPUTS:
        context.set_input_shape(name, high)
    zeros = cuda.pagelocked_zeros(trt.volume(high), np.int64)
    device = {name: cuda.mem_alloc(zeros.nbytes) for name in INPUTS}
    size = trt.volume(context.get_tensor_shape("logits"))
    host = cuda.pagelocked_empty(size, trt.nptype(context.engine.get_tensor_dtype("logits")))
    device["logits"] = cuda.mem_alloc(host.nbytes)
    for name, allocation in device.items():
        context.set_tensor_address(name, int(allocation))

    def step(input_ids, attention_mask):
        for name in INPUTS:
            if not context.set_input_shape(name, input_ids.shape):
                raise ValueError("refused")
            cuda.memcpy_htod_async(device[name], zeros[: input_ids.size], stream)
        context.execute_async_v3(stream.handle)
        copy_logits(host, device["logits"], tuple(context.get_tensor_shape("logits")), stream)
        stream.synchronize()
        logits = session.run(None, {"input_ids": input_ids, "attention_mask": attention_mask})[0]
        return (logits if logits.ndim == 2 else logits[:, -1]).astype(np.float32)

    return step
