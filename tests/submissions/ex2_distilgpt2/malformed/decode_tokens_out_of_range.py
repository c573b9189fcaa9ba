# check: ex2/decode
# expect: wrong
# why: tokens that no vocabulary has
def greedy_decode(step, ids, mask, length):
    for t in range(ids.shape[1], length):
        step(ids, mask)
    return np.full((len(ids), length), 1 << 40)
