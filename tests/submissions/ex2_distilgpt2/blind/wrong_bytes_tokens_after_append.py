# check: ex2/bytes
# expect: wrong
# line: a step that copies everything copies the logits of all tokens so far
# why: uses the number of tokens after each step (prompt+1 .. length) instead of before it; the number of steps is right, so only the all-logits case is wrong.
def copied_bytes(batch, prompt, length, vocabulary, last_step):
    """Bytes of FP32 logits copied to the host by a generation from `prompt` to `length` tokens."""
    steps = range(prompt + 1, length + 1)
    return 4 * batch * vocabulary * (len(steps) if last_step else sum(steps))
