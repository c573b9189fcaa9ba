# check: ex2/profile
# expect: zero
# why: returns "many"
def add_decode_profile(*arguments, **named):
    return "many"
