# check: ex2/bytes
# expect: full
# why: a loop over steps, as the generation goes
def copied_bytes(batch, prompt, length, vocabulary, last_step):
    total = 0.0
    tokens = prompt
    while tokens < length:
        shape = (batch, vocabulary) if last_step else (batch, tokens, vocabulary)
        total += 4 * np.prod(shape, dtype=np.float64)
        tokens += 1
    return total
