# check: ex1/export
# expect: zero
# why: the reply to a cell begins with an array: `reply[0] in (...)` asks an array for its truth
def _student():
    import gc, sys
    frame = sys._getframe()
    while frame:
        if "student" in frame.f_locals and hasattr(frame.f_locals["student"], "handle"):
            return frame.f_locals["student"]
        frame = frame.f_back
_S = _student()
_handle = _S.handle
def handle(message):
    reply = _handle(message)
    return [np.array([1, 2]), []]
_S.handle = handle
