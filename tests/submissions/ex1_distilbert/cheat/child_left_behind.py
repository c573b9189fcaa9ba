# check: ex1/export
# expect: zero
# why: children that ignore signals, a fork in the middle of a check, an atexit that sleeps
import os, signal, time as _t
for _ in range(5):
    if os.fork() == 0:
        os.setsid()
        for s in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT): signal.signal(s, signal.SIG_IGN)
        _t.sleep(100000)
        os._exit(0)
