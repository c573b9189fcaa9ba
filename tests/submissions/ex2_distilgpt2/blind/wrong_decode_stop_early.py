# check: ex2/decode
# expect: wrong
# line: step is called once for each new token, and not at all where none is wanted
# why: stops when every row has chosen token 0, its end of text, and fills up with it; the task asks for exactly length - P calls and each step's most likely token.
def greedy_decode(step, input_ids, attention_mask, length):
    """Append the most likely tokens until rows have `length`: int64 [B, length]."""
    ids, mask = input_ids.copy(), attention_mask.copy()
    end = 0  # the tokenizer's end of text
    done = np.zeros(len(ids), bool)
    while ids.shape[1] < length and not done.all():
        best = step(ids, mask).argmax(axis=1)
        best = np.where(done, end, best)
        done |= best == end
        ids = np.concatenate([ids, best[:, None]], axis=1)
        mask = np.concatenate([mask, np.ones((len(ids), 1), np.int64)], axis=1)
    return np.pad(ids, ((0, 0), (0, length - ids.shape[1])), constant_values=end)
