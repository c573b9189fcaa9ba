# check: ex2/decode
# expect: wrong
# line: each new token is the most likely
# why: one token for all rows
def greedy_decode(step, input_ids, attention_mask, length):
    """Append the most likely tokens until rows have `length`: int64 [B, length]."""
    ids, mask = input_ids.copy(), attention_mask
    for _ in range(length - ids.shape[1]):
        chosen = np.full((len(ids), 1), step(ids, mask).max(0).argmax())
        ids = np.concatenate([ids, chosen], axis=1)
        mask = np.concatenate([mask, np.ones_like(chosen)], axis=1)
    return ids
