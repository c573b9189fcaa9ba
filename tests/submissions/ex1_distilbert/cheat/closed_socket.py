# check: ex1/parse
# expect: zero
# why: the socket to the judge is closed in the cell
def _student():
    import gc, sys
    frame = sys._getframe()
    while frame:
        if "student" in frame.f_locals and hasattr(frame.f_locals["student"], "handle"):
            return frame.f_locals["student"]
        frame = frame.f_back
_S = _student()
import os
for fd in range(3, 12):
    try: os.close(fd)
    except OSError: pass
