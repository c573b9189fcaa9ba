# check: ex2/decode
# expect: right
# why: np.pad builds the final mask at once, each step gets a contiguous copy of what it needs; np.insert appends.
def greedy_decode(step, input_ids, attention_mask, length):
    """Append the most likely tokens until rows have `length`: int64 [B, length]."""
    missing = length - input_ids.shape[1]
    full_mask = np.pad(attention_mask, ((0, 0), (0, missing)), constant_values=1)
    ids = input_ids.copy()
    for _ in range(missing):
        width = ids.shape[1]
        best = np.argmax(step(ids, full_mask[:, :width].copy()), axis=1)
        ids = np.insert(ids, width, best, axis=1)
    return ids
