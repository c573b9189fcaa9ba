# check: ex2/bytes
# expect: full
# keys: 20
# why: the sum as a formula
def copied_bytes(batch, prompt, length, vocabulary, last_step):
    """Bytes of FP32 logits copied to the host by a generation from `prompt` to `length` tokens."""
    steps = range(prompt, length)
    positions = len(steps) if last_step else (length - prompt) * (prompt + length - 1) // 2
    return batch * positions * vocabulary * 4
