# check: ex1/fp16
# expect: full
# why: the course's own helpers.precision, which is no answer module
def to_fp16(source, target):
    precision.to_fp16(source, target)
