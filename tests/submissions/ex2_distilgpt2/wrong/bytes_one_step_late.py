# check: ex2/bytes
# expect: partly
# line: a step that copies everything
# points: 1.75
# why: the first step is taken to have one token more than the prompt
def copied_bytes(batch, prompt, length, vocabulary, last_step):
    """Bytes of FP32 logits copied to the host by a generation from `prompt` to `length` tokens."""
    steps = range(prompt, length)
    positions = len(steps) if last_step else sum(range(prompt + 1, length + 1))
    return batch * positions * vocabulary * 4
