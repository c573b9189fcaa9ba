# check: ex2/timeline
# expect: zero
# why: the module that holds the answer is imported
def read_timeline(events):
    from helpers.grading.stand_ins import ex2_timeline

    return ex2_timeline.read_timeline(events)
