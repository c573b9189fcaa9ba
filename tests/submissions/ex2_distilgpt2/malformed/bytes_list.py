# check: ex2/bytes
# expect: zero
# why: returns [1, 2]
def copied_bytes(*arguments, **named):
    return [1, 2]
