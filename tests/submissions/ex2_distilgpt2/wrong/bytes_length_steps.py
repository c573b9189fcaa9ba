# check: ex2/bytes
# expect: partly
# line: there is one step for each new token
# why: as many steps as the final length has tokens
def copied_bytes(batch, prompt, length, vocabulary, last_step):
    """Bytes of FP32 logits copied to the host by a generation from `prompt` to `length` tokens."""
    steps = range(1, length + 1)
    positions = len(steps) if last_step else sum(steps)
    return batch * positions * vocabulary * 4
