# check: ex2/decode
# expect: zero
# why: returns np.empty((0, length), np.int64)
def greedy_decode(step, ids, mask, length):
    return np.empty((0, length), np.int64)
