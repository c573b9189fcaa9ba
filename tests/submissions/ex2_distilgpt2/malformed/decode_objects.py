# check: ex2/decode
# expect: zero
# why: returns np.array([None], object)
def greedy_decode(step, ids, mask, length):
    return np.array([None], object)
