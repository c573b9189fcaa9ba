# check: ex2/decode
# expect: wrong
# line: every call is given all tokens so far
# line: it returns int64 [batch, length]
# why: padding goes to the right
def greedy_decode(step, input_ids, attention_mask, length):
    """Append the most likely tokens until rows have `length`: int64 [B, length]."""
    ids, mask = input_ids.copy(), attention_mask
    order = np.argsort(-attention_mask, 1, kind='stable')
    ids, mask = np.take_along_axis(ids, order, 1), np.take_along_axis(mask, order, 1)
    for _ in range(length - ids.shape[1]):
        chosen = step(ids, mask).argmax(-1)[:, None]
        ids = np.concatenate([ids, chosen], axis=1)
        mask = np.concatenate([mask, np.ones_like(chosen)], axis=1)
    return ids
