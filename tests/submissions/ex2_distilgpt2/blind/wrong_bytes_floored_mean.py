# check: ex2/bytes
# expect: wrong
# line: a step that copies everything copies the logits of all tokens so far
# why: floors the mean number of tokens before multiplying by the steps, so it is wrong when prompt + length - 1 is odd.
def copied_bytes(batch, prompt, length, vocabulary, last_step):
    """Bytes of FP32 logits copied to the host by a generation from `prompt` to `length` tokens."""
    steps = length - prompt
    mean_tokens = 1 if last_step else (prompt + length - 1) // 2
    return 4 * batch * steps * mean_tokens * vocabulary
