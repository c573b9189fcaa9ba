# check: ex2/decode
# expect: full
# why: a step, and the rest
def greedy_decode(step, input_ids, attention_mask, length):
    if input_ids.shape[1] == length:
        return np.array(input_ids)
    new = np.argsort(step(input_ids, attention_mask), axis=-1)[:, -1:]
    ones = np.ones((len(new), 1), attention_mask.dtype)
    return greedy_decode(step, np.c_[input_ids, new], np.c_[attention_mask, ones], length)
