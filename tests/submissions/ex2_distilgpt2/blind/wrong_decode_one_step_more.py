# check: ex2/decode
# expect: wrong
# line: step is called once for each new token, and not at all where none is wanted
# why: calls the step once more than needed and cuts the last token off: length - P + 1 calls.
def greedy_decode(step, input_ids, attention_mask, length):
    """Append the most likely tokens until rows have `length`: int64 [B, length]."""
    ids, mask = input_ids.copy(), attention_mask.copy()
    while ids.shape[1] <= length:
        best = step(ids, mask).argmax(axis=-1)[:, None]
        ids = np.concatenate([ids, best], axis=1)
        mask = np.concatenate([mask, np.ones_like(best)], axis=1)
    return ids[:, :length]
