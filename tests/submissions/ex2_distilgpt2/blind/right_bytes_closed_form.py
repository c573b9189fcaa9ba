# check: ex2/bytes
# expect: right
# why: closed form (arithmetic series) instead of a loop over the steps.
def copied_bytes(batch, prompt, length, vocabulary, last_step):
    """Bytes of FP32 logits copied to the host by a generation from `prompt` to `length` tokens."""
    steps = length - prompt
    # the steps see prompt, prompt + 1, ..., length - 1 tokens; one of the two factors is even
    positions = steps if last_step else steps * (prompt + length - 1) // 2
    return batch * positions * vocabulary * np.dtype(np.float32).itemsize
