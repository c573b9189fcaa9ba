# check: ex2/bytes
# expect: partly
# line: a step that needs the last position alone
# why: one row alone
def copied_bytes(batch, prompt, length, vocabulary, last_step):
    """Bytes of FP32 logits copied to the host by a generation from `prompt` to `length` tokens."""
    steps = range(prompt, length)
    positions = len(steps) if last_step else sum(steps)
    return positions * vocabulary * 4
