# check: ex2/profile
# expect: zero
# why: returns None
def add_decode_profile(*arguments, **named):
    return None
