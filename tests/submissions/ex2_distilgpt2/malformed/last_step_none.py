# check: ex2/last_step
# expect: zero
# why: returns nothing and copies nothing
def copy_last_step(host, device, shape, stream):
    return None
