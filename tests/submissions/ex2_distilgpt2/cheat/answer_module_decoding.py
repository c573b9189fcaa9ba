# check: ex2/decode
# expect: zero
# why: helpers.decoding holds the loop
def greedy_decode(step, input_ids, attention_mask, length):
    from helpers.decoding import greedy

    return greedy(step, input_ids, attention_mask, length)
