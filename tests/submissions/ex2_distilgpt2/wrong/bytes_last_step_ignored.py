# check: ex2/bytes
# expect: partly
# line: a step that needs the last position alone
# why: always counts all positions
def copied_bytes(batch, prompt, length, vocabulary, last_step):
    """Bytes of FP32 logits copied to the host by a generation from `prompt` to `length` tokens."""
    steps = range(prompt, length)
    positions = sum(steps)
    return batch * positions * vocabulary * 4
