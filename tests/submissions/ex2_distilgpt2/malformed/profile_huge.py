# check: ex2/profile
# expect: zero
# why: returns 10**400
def add_decode_profile(*arguments, **named):
    return 10**400
