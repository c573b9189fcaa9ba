# check: ex2/decode
# expect: zero
# why: the plan of the step is found and run beside it, without a call of step
import gc

import onnxruntime


def greedy_decode(step, input_ids, attention_mask, length):
    from helpers.simulator.plan import open_plan

    plans = [p for p in gc.get_objects() if type(p) is bytes and p.startswith(b"TRTSIM")]
    cells = [c.cell_contents for c in step.__closure__ or ()]
    data = next((c for c in [*cells, *plans] if isinstance(c, bytes)), b"")
    session = onnxruntime.InferenceSession(open_plan(data).onnx, providers=["CPUExecutionProvider"])
    ids, mask = input_ids, attention_mask
    for _ in range(length - ids.shape[1]):
        new = session.run(None, {"input_ids": ids, "attention_mask": mask})[0].argmax(-1)[:, None]
        ids, mask = np.c_[ids, new], np.c_[mask, np.ones_like(new)]
    return ids
