# check: ex2/decode
# expect: zero
# why: returns np.int64(3)
def greedy_decode(step, ids, mask, length):
    return np.int64(3)
