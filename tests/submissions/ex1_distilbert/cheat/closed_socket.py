# check: ex1/parse
# expect: zero
# why: the socket to the judge is closed in the cell
def _student():
    import gc

    return next(o for o in gc.get_objects() if type(o).__name__ == "Student" and hasattr(o, "handle"))


_S = _student()
import os
for fd in range(3, 12):
    try: os.close(fd)
    except OSError: pass
