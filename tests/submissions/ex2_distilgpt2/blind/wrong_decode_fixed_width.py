# check: ex2/decode
# expect: wrong
# line: every call is given all tokens so far: the prompt as it was, and the new ones behind it
# why: feeds arrays of the final width at each step, with zeros where tokens are still missing; the step's last position is then padding, and t is wrong.
def greedy_decode(step, input_ids, attention_mask, length):
    """Append the most likely tokens until rows have `length`: int64 [B, length]."""
    rows, prompt = input_ids.shape
    ids, mask = np.zeros((rows, length), np.int64), np.zeros((rows, length), np.int64)
    ids[:, :prompt], mask[:, :prompt] = input_ids, attention_mask
    for t in range(prompt, length):
        ids[:, t] = step(ids, mask).argmax(axis=1)
        mask[:, t] = 1
    return ids
