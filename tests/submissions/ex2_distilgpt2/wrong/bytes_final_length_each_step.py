# check: ex2/bytes
# expect: partly
# line: a step that copies everything
# points: 1.75
# why: every step is taken to copy the final length
def copied_bytes(batch, prompt, length, vocabulary, last_step):
    """Bytes of FP32 logits copied to the host by a generation from `prompt` to `length` tokens."""
    steps = range(prompt, length)
    positions = len(steps) if last_step else length * len(steps)
    return batch * positions * vocabulary * 4
