# check: ex2/decode
# expect: partly
# line: each new token is the most likely
# points: 4.25
# why: the first row's token for all rows
def greedy_decode(step, input_ids, attention_mask, length):
    """Append the most likely tokens until rows have `length`: int64 [B, length]."""
    ids, mask = input_ids.copy(), attention_mask
    for _ in range(length - ids.shape[1]):
        chosen = np.repeat(step(ids, mask)[:1].argmax(-1)[:, None], len(ids), 0)
        ids = np.concatenate([ids, chosen], axis=1)
        mask = np.concatenate([mask, np.ones_like(chosen)], axis=1)
    return ids
