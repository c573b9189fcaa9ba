# check: ex2/decode
# expect: wrong
# line: a generation runs
# why: keeps the tokens as int32, as the report did: the step gets int32 and the result is int32 instead of int64.
def greedy_decode(step, input_ids, attention_mask, length):
    """Append the most likely tokens until rows have `length`: int64 [B, length]."""
    ids, mask = input_ids.astype(np.int32), attention_mask.astype(np.int32)
    for _ in range(length - ids.shape[1]):
        best = step(ids, mask).argmax(axis=1).astype(np.int32)
        ids = np.concatenate([ids, best[:, None]], axis=1)
        mask = np.concatenate([mask, np.ones_like(best)[:, None]], axis=1)
    return ids
