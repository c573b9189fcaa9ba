# check: ex2/decode
# expect: wrong
# line: a generation runs
# line: it returns int64 [batch, length]
# line: every call is given all tokens so far
# line: each new token is the most likely
# why: the most likely row in the place of the most likely token
def greedy_decode(step, input_ids, attention_mask, length):
    """Append the most likely tokens until rows have `length`: int64 [B, length]."""
    ids, mask = input_ids.copy(), attention_mask
    for _ in range(length - ids.shape[1]):
        chosen = step(ids, mask).argmax(0)[: len(ids), None]
        ids = np.concatenate([ids, chosen], axis=1)
        mask = np.concatenate([mask, np.ones_like(chosen)], axis=1)
    return ids
