# check: ex2/bytes
# expect: zero
# why: returns "many"
def copied_bytes(*arguments, **named):
    return "many"
