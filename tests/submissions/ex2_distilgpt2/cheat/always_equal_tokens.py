# check: ex2/decode
# expect: zero
# why: an object that is equal to everything
class Tokens(np.ndarray):
    def __eq__(self, other):
        return True

    __ne__ = __lt__ = __gt__ = __le__ = __ge__ = __eq__
    __hash__ = None


def greedy_decode(step, input_ids, attention_mask, length):
    return np.zeros((len(input_ids), length), np.int64).view(Tokens)
