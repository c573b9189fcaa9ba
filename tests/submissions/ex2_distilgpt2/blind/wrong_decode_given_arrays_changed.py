# check: ex2/decode
# expect: wrong
# line: it returns int64 [batch, length]: the prompt with its padding, and the new tokens behind it
# why: resizes and fills the caller's arrays in place; prompts given by the caller are changed.
def greedy_decode(step, input_ids, attention_mask, length):
    """Append the most likely tokens until rows have `length`: int64 [B, length]."""
    input_ids[attention_mask == 0] = 0  # tidy the padding
    ids, mask = input_ids, attention_mask
    for _ in range(length - ids.shape[1]):
        best = step(ids, mask).argmax(axis=1)
        ids = np.c_[ids, best]
        mask = np.c_[mask, np.ones(len(mask), np.int64)]
    return ids
