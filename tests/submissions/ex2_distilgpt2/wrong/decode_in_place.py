# check: ex2/decode
# expect: partly
# line: the arrays that were handed over
# points: 4.75
# why: writes zeros into the padding of the argument
def greedy_decode(step, input_ids, attention_mask, length):
    """Append the most likely tokens until rows have `length`: int64 [B, length]."""
    ids, mask = input_ids.copy(), attention_mask
    for _ in range(length - ids.shape[1]):
        chosen = step(ids, mask).argmax(-1)[:, None]
        ids = np.concatenate([ids, chosen], axis=1)
        mask = np.concatenate([mask, np.ones_like(chosen)], axis=1)
    input_ids.fill(0)
    return ids
