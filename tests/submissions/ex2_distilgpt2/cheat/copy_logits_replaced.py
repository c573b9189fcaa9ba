# check: ex2/preallocate
# expect: zero
# why: the record is filled by another engine's work and the logits are invented
def preallocated_step(context, stream, copy_logits):
    def step(input_ids, attention_mask):
        if len(input_ids) == 1:
            raise ValueError("refused")
        return np.zeros((len(input_ids), 30), np.float32)

    return step
