# check: ex2/decode
# expect: full
# why: arrays of the final length are filled in
def greedy_decode(step, input_ids, attention_mask, length):
    rows, prompt = input_ids.shape
    ids, mask = np.zeros((rows, length), np.int64), np.ones((rows, length), np.int64)
    ids[:, :prompt], mask[:, :prompt] = input_ids, attention_mask
    for tokens in range(prompt, length):
        ids[:, tokens] = np.argmax(step(ids[:, :tokens], mask[:, :tokens]), axis=1)
    return ids
