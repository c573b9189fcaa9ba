# check: ex2/decode
# expect: partly
# line: every call is given all tokens so far
# why: feeds the new token alone, as if there were a cache
def greedy_decode(step, input_ids, attention_mask, length):
    ids, fed, mask = input_ids, input_ids, attention_mask
    for _ in range(length - ids.shape[1]):
        fed = step(fed, mask).argmax(-1)[:, None]
        mask = np.ones_like(fed)
        ids = np.concatenate([ids, fed], axis=1)
    return ids
