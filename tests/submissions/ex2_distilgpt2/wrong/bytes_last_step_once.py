# check: ex2/bytes
# expect: partly
# line: there is one step for each new token
# why: the last position is taken to be copied once a generation
def copied_bytes(batch, prompt, length, vocabulary, last_step):
    """Bytes of FP32 logits copied to the host by a generation from `prompt` to `length` tokens."""
    steps = range(prompt, length)
    positions = 1 if last_step else sum(steps)
    return batch * positions * vocabulary * 4
