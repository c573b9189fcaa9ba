# check: ex2/bytes
# expect: wrong
# line: there is one step for each new token, and none where there is no new token
# why: counts a step that sees `length` tokens, but the token that the last step chooses is never fed in.
def copied_bytes(batch, prompt, length, vocabulary, last_step):
    """Bytes of FP32 logits copied to the host by a generation from `prompt` to `length` tokens."""
    total = 0
    for tokens in range(prompt, length + 1):
        total += 4 * batch * vocabulary * (1 if last_step else tokens)
    return total
