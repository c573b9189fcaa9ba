# check: ex2/bytes
# expect: zero
# why: returns None
def copied_bytes(*arguments, **named):
    return None
