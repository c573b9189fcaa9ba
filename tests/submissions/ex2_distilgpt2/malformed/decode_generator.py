# check: ex2/decode
# expect: zero
# why: returns (i for i in range(3))
def greedy_decode(step, ids, mask, length):
    return (i for i in range(3))
