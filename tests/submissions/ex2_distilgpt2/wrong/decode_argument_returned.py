# check: ex2/decode
# expect: partly
# line: what is returned is an array of its own
# points: 4.75
# why: returns the argument itself where there is nothing to do
def greedy_decode(step, input_ids, attention_mask, length):
    """Append the most likely tokens until rows have `length`: int64 [B, length]."""
    ids, mask = input_ids, attention_mask
    for _ in range(length - ids.shape[1]):
        chosen = step(ids, mask).argmax(-1)[:, None]
        ids = np.concatenate([ids, chosen], axis=1)
        mask = np.concatenate([mask, np.ones_like(chosen)], axis=1)
    return ids
