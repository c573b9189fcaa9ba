# check: ex2/decode
# expect: wrong
# line: a generation runs
# line: the mask grows by ones
# why: the mask keeps the prompt's length
def greedy_decode(step, input_ids, attention_mask, length):
    """Append the most likely tokens until rows have `length`: int64 [B, length]."""
    ids, mask = input_ids.copy(), attention_mask
    for _ in range(length - ids.shape[1]):
        chosen = step(ids, mask).argmax(-1)[:, None]
        ids = np.concatenate([ids, chosen], axis=1)
    return ids
