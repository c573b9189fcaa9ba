# check: ex2/profile
# expect: zero
# why: returns [1, 2]
def add_decode_profile(*arguments, **named):
    return [1, 2]
