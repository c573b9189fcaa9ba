# check: ex2/bytes
# expect: wrong
# line: there is one step for each new token, and none where there is no new token
# why: with last_step it counts one copy for the whole generation instead of one for each step.
def copied_bytes(batch, prompt, length, vocabulary, last_step):
    """Bytes of FP32 logits copied to the host by a generation from `prompt` to `length` tokens."""
    if last_step:
        return 4 * batch * vocabulary
    return sum(4 * batch * t * vocabulary for t in range(prompt, length))
