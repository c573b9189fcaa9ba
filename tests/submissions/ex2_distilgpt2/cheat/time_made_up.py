# check: ex2/kernel_only
# expect: zero
# why: a plausible time, and nothing runs
def kernel_only(enqueue, stream, repeats=20):
    return 1.0
