# check: ex2/last_step
# expect: partly
# line: exactly batch x vocabulary
# points: 2.75
# whole: yes
# why: everything is copied, a view of the last step is returned
def copy_last_step(host, device, shape, stream):
    rows, tokens, vocabulary = shape
    whole = host[: rows * tokens * vocabulary].reshape(rows, tokens, vocabulary)
    cuda.memcpy_dtoh_async(whole, device, stream)
    return whole[:, -1]
