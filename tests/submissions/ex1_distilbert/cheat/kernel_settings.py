# check: ex1/export
# expect: zero
# why: the host's kernel settings (/proc/sys) open for writing where the grader runs as root; nothing is written
import os

for path in ("/proc/sys/kernel/core_pattern", "/proc/sys/vm/swappiness", "/proc/sys/kernel/panic"):
    try:
        os.close(os.open(path, os.O_WRONLY))
        print(path, "ESCAPE: opens for writing")
    except OSError as error:
        print(path, error.strerror)
