# check: ex2/decode
# expect: zero
# why: returns 'logits'
def greedy_decode(step, ids, mask, length):
    return "logits"
