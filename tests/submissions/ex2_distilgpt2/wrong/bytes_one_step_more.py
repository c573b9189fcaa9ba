# check: ex2/bytes
# expect: partly
# line: there is one step for each new token
# why: counts the finished sequence as a step, too
def copied_bytes(batch, prompt, length, vocabulary, last_step):
    """Bytes of FP32 logits copied to the host by a generation from `prompt` to `length` tokens."""
    steps = range(prompt, length + 1)
    positions = len(steps) if last_step else sum(steps)
    return batch * positions * vocabulary * 4
