# check: ex1/parse
# expect: zero
# why: two replies to each request: the judge reads the first to the last question
def _student():
    import gc

    return next(o for o in gc.get_objects() if type(o).__name__ == "Student" and hasattr(o, "handle"))


_S = _student()
import helpers.messages as _m
_send = _m.send
import helpers.grading.student as _mod, sys as _sys

def twice(connection, value, *rest):
    _send(connection, value, *rest)
    _send(connection, ["ok", "ahead"], *rest)
type(_S).handle.__globals__["send"] = twice
