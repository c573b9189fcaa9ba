# check: ex2/decode
# expect: wrong
# line: the mask grows by ones on the right, and keeps its zeros on the left
# why: after the first step the mask is all ones, so the padding counts as text.
def greedy_decode(step, input_ids, attention_mask, length):
    """Append the most likely tokens until rows have `length`: int64 [B, length]."""
    ids, mask = input_ids.copy(), attention_mask.copy()
    for _ in range(length - ids.shape[1]):
        best = step(ids, mask).argmax(axis=-1)
        ids = np.concatenate([ids, best[:, None]], axis=1)
        mask = np.ones_like(ids)
    return ids
