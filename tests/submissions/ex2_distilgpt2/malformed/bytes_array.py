# check: ex2/bytes
# expect: zero
# why: returns np.array([1.0, 2.0])
def copied_bytes(*arguments, **named):
    return np.array([1.0, 2.0])
