# check: ex2/decode
# expect: wrong
# line: it returns int64 [batch, length]
# why: length new tokens
def greedy_decode(step, input_ids, attention_mask, length):
    """Append the most likely tokens until rows have `length`: int64 [B, length]."""
    ids, mask = input_ids.copy(), attention_mask
    for _ in range(length):
        chosen = step(ids, mask).argmax(-1)[:, None]
        ids = np.concatenate([ids, chosen], axis=1)
        mask = np.concatenate([mask, np.ones_like(chosen)], axis=1)
    return ids
