# check: ex2/decode
# expect: zero
# why: returns iter(int, 1)
def greedy_decode(step, ids, mask, length):
    return iter(int, 1)
