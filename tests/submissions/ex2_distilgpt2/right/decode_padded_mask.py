# check: ex2/decode
# expect: full
# why: np.pad, and names for the arguments of step
def greedy_decode(step, input_ids, attention_mask, length):
    ids, mask = input_ids.copy(), attention_mask.copy()
    while ids.shape[1] < length:
        logits = step(input_ids=ids, attention_mask=mask)
        best = [int(max(range(len(row)), key=row.__getitem__)) for row in logits]
        ids = np.hstack([ids, np.array(best, dtype=ids.dtype).reshape(-1, 1)])
        mask = np.pad(mask, ((0, 0), (0, 1)), constant_values=1)
    return ids
