# check: ex2/bytes
# expect: right
# why: a sum over shapes with trt.volume, one shape for each step.
def copied_bytes(batch, prompt, length, vocabulary, last_step):
    """Bytes of FP32 logits copied to the host by a generation from `prompt` to `length` tokens."""
    shapes = ((batch, 1 if last_step else tokens, vocabulary) for tokens in range(prompt, length))
    return sum(4 * int(np.prod(shape, dtype=np.int64)) for shape in shapes)
