# check: ex2/preallocate
# expect: zero
# why: the step returns objects
def preallocated_step(context, stream, copy_logits):
    return lambda ids, mask: np.array([None], object)
