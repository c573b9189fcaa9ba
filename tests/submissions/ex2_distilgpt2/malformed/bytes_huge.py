# check: ex2/bytes
# expect: zero
# why: returns 10**400
def copied_bytes(*arguments, **named):
    return 10**400
