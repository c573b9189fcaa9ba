# check: ex2/decode
# expect: wrong
# line: the mask grows by ones on the right, and keeps its zeros on the left
# why: the mask's new one is put on the left, so for rows padded on the left the mask no longer stands over the tokens.
def greedy_decode(step, input_ids, attention_mask, length):
    """Append the most likely tokens until rows have `length`: int64 [B, length]."""
    ids, mask = input_ids, attention_mask
    new = np.ones((len(ids), 1), np.int64)
    while ids.shape[1] < length:
        best = step(ids, mask).argmax(axis=1)[:, None]
        ids, mask = np.hstack([ids, best]), np.hstack([new, mask])
    return ids
