# check: ex2/decode
# expect: wrong
# line: the mask grows by ones on the right, and keeps its zeros on the left
# why: rebuilds the mask as ids != 0: a real token 0 (or a padding that is not 0) is masked wrongly.
def greedy_decode(step, input_ids, attention_mask, length):
    """Append the most likely tokens until rows have `length`: int64 [B, length]."""
    ids = input_ids.copy()
    for _ in range(length - ids.shape[1]):
        mask = (ids != 0).astype(np.int64)
        best = step(ids, mask).argmax(axis=-1)
        ids = np.concatenate([ids, best[:, None]], axis=1)
    return ids
