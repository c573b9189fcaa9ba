# check: ex2/decode
# expect: partly
# line: the mask grows by ones
# whole: yes
# why: padding counts as tokens
def greedy_decode(step, input_ids, attention_mask, length):
    """Append the most likely tokens until rows have `length`: int64 [B, length]."""
    ids, mask = input_ids.copy(), attention_mask
    for _ in range(length - ids.shape[1]):
        chosen = step(ids, np.ones_like(ids)).argmax(-1)[:, None]
        ids = np.concatenate([ids, chosen], axis=1)
        mask = np.concatenate([mask, np.ones_like(chosen)], axis=1)
    return ids
