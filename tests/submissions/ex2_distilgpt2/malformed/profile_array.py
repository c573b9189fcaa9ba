# check: ex2/profile
# expect: zero
# why: returns np.array([1.0, 2.0])
def add_decode_profile(*arguments, **named):
    return np.array([1.0, 2.0])
