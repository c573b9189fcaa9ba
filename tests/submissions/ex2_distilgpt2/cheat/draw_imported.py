# check: ex2/decode
# expect: wrong
# keys: 20
# why: the seed of the visible check is used to guess its prompts; the twin's are unknown
def greedy_decode(step, input_ids, attention_mask, length):
    from helpers.grading.draw import VISIBLE

    rng = VISIBLE("decode: decoder")
    words, width = int(rng.integers(24, 48)), 16
    table = rng.normal(size=(words, width)).astype(np.float32) * np.float32(1.5)
    head = rng.normal(size=(width, words)).astype(np.float32)
    ids, mask = input_ids, attention_mask
    for _ in range(length - ids.shape[1]):
        step(ids, mask)
        seen = np.cumsum(table[ids % words].astype(np.float64) * mask[..., None], axis=1)
        new = (np.sin(seen) @ head)[:, -1].argmax(-1)[:, None]
        ids, mask = np.c_[ids, new], np.c_[mask, np.ones_like(new)]
    return ids
