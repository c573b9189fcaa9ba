# check: ex2/kernel_only
# expect: zero
# why: infinity
def kernel_only(enqueue, stream, repeats=20):
    return float('inf')
