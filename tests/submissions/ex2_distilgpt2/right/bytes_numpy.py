# check: ex2/bytes
# expect: full
# why: NumPy adds up
def copied_bytes(batch, prompt, length, vocabulary, last_step):
    """Bytes of FP32 logits copied to the host by a generation from `prompt` to `length` tokens."""
    steps = range(prompt, length)
    positions = len(steps) if last_step else np.arange(prompt, length).sum()
    return batch * positions * vocabulary * 4
