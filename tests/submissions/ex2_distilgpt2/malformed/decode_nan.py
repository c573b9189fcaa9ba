# check: ex2/decode
# expect: zero
# why: returns np.full((len(ids), length), np.nan)
def greedy_decode(step, ids, mask, length):
    return np.full((len(ids), length), np.nan)
