# check: ex2/kernel_only
# expect: zero
# why: True
def kernel_only(enqueue, stream, repeats=20):
    return True
