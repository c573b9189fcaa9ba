# check: ex2/decode
# expect: zero
# line: a generation runs
# why: int32 tokens, as older exports took them
def greedy_decode(step, input_ids, attention_mask, length):
    """Append the most likely tokens until rows have `length`: int64 [B, length]."""
    ids, mask = input_ids.astype(np.int32), attention_mask.astype(np.int32)
    for _ in range(length - ids.shape[1]):
        chosen = step(ids, mask).argmax(-1)[:, None]
        ids = np.concatenate([ids, chosen], axis=1)
        mask = np.concatenate([mask, np.ones_like(chosen)], axis=1)
    return ids
