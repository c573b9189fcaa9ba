# check: ex2/decode
# expect: right
# why: two arrays of the final size are allocated once and the step is given views of their first t columns (contiguous copies are the step's business).
def greedy_decode(step, input_ids, attention_mask, length):
    """Append the most likely tokens until rows have `length`: int64 [B, length]."""
    rows, prompt = input_ids.shape
    tokens = np.zeros((rows, length), np.int64)
    mask = np.ones((rows, length), np.int64)
    tokens[:, :prompt], mask[:, :prompt] = input_ids, attention_mask
    for t in range(prompt, length):
        tokens[:, t] = np.asarray(step(tokens[:, :t], mask[:, :t])).argmax(axis=-1)
    return tokens
