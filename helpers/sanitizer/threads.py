"""What orders the threads of the host, and which of them used an execution context after which.

Threads are ordered by what Python gives them for it: starting and joining, and locks (what one thread did before it
released a lock comes before what another does once it has it). `threading.Event`, `Condition`, `Queue` and futures are
made of locks. Anything else that one thread may tell another by (a variable that is polled, a pipe) is not seen.
"""

from __future__ import annotations

import queue
import threading
import weakref
from concurrent.futures import ThreadPoolExecutor, wait
from concurrent.futures.thread import _threads_queues as _idle
from typing import Any

from .clocks import Clock, join
from .device import CheckingDevice
from .order import knows, mine, send
from .places import Site, site


class _Watched:
    """A lock that hands on the clock of whoever releases it."""

    def __init__(self, lock: Any) -> None:
        self._lock = lock
        self._clock: Clock = {}

    def acquire(self, *arguments: Any, **keywords: Any) -> Any:
        got = self._lock.acquire(*arguments, **keywords)
        if got:
            join(mine().clock, self._clock)
        return got

    def release(self) -> None:
        join(self._clock, send())
        self._lock.release()

    def __enter__(self) -> Any:
        return self.acquire()

    def __exit__(self, *_: object) -> None:
        self.release()

    def locked(self) -> bool:
        return bool(self._lock.locked())

    def _at_fork_reinit(self) -> None:
        self._lock._at_fork_reinit()

    def __repr__(self) -> str:
        return repr(self._lock)


class _WatchedR(_Watched):
    """The same for an RLock; a Condition asks it for more."""

    def _is_owned(self) -> bool:
        return bool(self._lock._is_owned())

    def _release_save(self) -> Any:
        join(self._clock, send())
        return self._lock._release_save()

    def _acquire_restore(self, state: Any) -> None:
        self._lock._acquire_restore(state)
        join(mine().clock, self._clock)


class _SimpleQueue:
    """queue.SimpleQueue, which is made of no lock that could be watched."""

    def __init__(self) -> None:
        self._queue: Any = _PlainQueue()

    def put(self, item: Any, block: bool = True, timeout: float | None = None) -> None:
        self._queue.put((send(), item))

    def put_nowait(self, item: Any) -> None:
        self.put(item)

    def get(self, block: bool = True, timeout: float | None = None) -> Any:
        clock, item = self._queue.get(block, timeout)
        join(mine().clock, clock)
        return item

    def get_nowait(self) -> Any:
        return self.get(False)

    def empty(self) -> bool:
        return bool(self._queue.empty())

    def qsize(self) -> int:
        return int(self._queue.qsize())


futures: weakref.WeakSet[Any] = weakref.WeakSet()  # work that was given to executors
_PlainQueue = queue.SimpleQueue


def _lock(make: Any) -> Any:
    return lambda: _Watched(make())


def _rlock(make: Any) -> Any:
    return lambda: _WatchedR(make())


def _start(start: Any) -> Any:
    def call(self: Any) -> None:
        self._sanitizer_clock = send()
        start(self)

    return call


def _run(run: Any) -> Any:
    def call(self: Any) -> None:
        join(mine().clock, getattr(self, "_sanitizer_clock", {}))
        try:
            run(self)
        finally:
            self._sanitizer_clock = send()

    return call


def _join(wait: Any) -> Any:
    def call(self: Any, timeout: float | None = None) -> None:
        wait(self, timeout)
        if not self.is_alive():
            join(mine().clock, getattr(self, "_sanitizer_clock", {}))

    return call


def _submit(submit: Any) -> Any:
    def call(self: Any, function: Any, /, *arguments: Any, **keywords: Any) -> Any:
        clock = send()

        def work(*arguments: Any, **keywords: Any) -> Any:
            join(mine().clock, clock)
            return function(*arguments, **keywords)

        future = submit(self, work, *arguments, **keywords)
        futures.add(future)
        return future

    return call


def join_all() -> None:
    """As the interpreter does at its end: wait for what executors do, and for all threads but daemons."""
    wait(list(futures))
    for thread in threading.enumerate():
        if not (thread.daemon or thread in _idle or thread in (threading.current_thread(), threading.main_thread())):
            thread.join()


def install(put: Any, device: CheckingDevice) -> None:
    """Watch threads from now on; `put(owner, name, wrap)` remembers what was there."""
    _last.clear()
    put(threading, "Lock", _lock)
    put(threading, "RLock", _rlock)
    put(queue, "SimpleQueue", lambda _: _SimpleQueue)
    put(threading.Thread, "start", _start)
    put(threading.Thread, "_bootstrap_inner", _run)
    put(threading.Thread, "join", _join)
    put(ThreadPoolExecutor, "submit", _submit)


_last: dict[int, tuple[int, int, Site | None]] = {}  # context -> the latest use: thread, its number, where


def used(device: CheckingDevice, context: int) -> None:
    """A thread uses an execution context: sets something of it, or executes it."""
    me = mine()
    now = me.number, me.clock[me.number]
    last = _last.get(context)
    if last is not None and last[:2] == now:
        return  # the same thread again, and nothing in between
    where = site()
    if last is not None and not knows(last[0], last[1]):
        device.find(
            "shared-context",
            "two threads use one execution context, and nothing orders them: it is not for two threads at once",
            where,
            last[2],
            "another thread used it at",
        )
    _last[context] = (*now, where)
