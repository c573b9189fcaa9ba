# check: ex2/decode
# expect: right
# why: grows lists of columns and stacks them for each step; torch.argmax picks the token.
def greedy_decode(step, input_ids, attention_mask, length):
    """Append the most likely tokens until rows have `length`: int64 [B, length]."""
    columns = list(np.array(input_ids, dtype=np.int64).T)
    seen = list(np.array(attention_mask, dtype=np.int64).T)
    while len(columns) < length:
        logits = step(np.stack(columns, axis=1), np.stack(seen, axis=1))
        columns.append(torch.argmax(torch.as_tensor(np.array(logits)), dim=1).numpy())
        seen.append(np.ones(len(logits), np.int64))
    return np.ascontiguousarray(np.stack(columns, axis=1))
