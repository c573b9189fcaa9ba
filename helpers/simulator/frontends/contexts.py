"""CUDA contexts: which is current in a thread, and which are alive. Shared by the front ends.

The simulated device has one state, which all contexts share; with the last of them it is reset, as a GPU's memory goes
with its context.
"""

from __future__ import annotations

import itertools
import threading

from .. import host as _host
from ..errors import DeviceError
from ..transport import InProcessDevice, RemoteDevice

NONE_CURRENT = (
    "no CUDA context is current in this thread. Expected: `import pycuda.autoprimaryctx` (or autoinit) in the main"
    " thread, context.push() in every other; with cuda.bindings.driver: cuInit, cuDevicePrimaryCtxRetain,"
    " cuCtxSetCurrent."
)
_DESTROYED = "the CUDA context that is current in this thread was destroyed"
PRIMARY = 0x100  # handles are the driver's pointers: numbers that are nothing else's
_numbers = itertools.count(PRIMARY + 0x100, 0x100)
_thread = threading.local()
_lock = threading.Lock()
_users: dict[int, int] = {}  # context -> how many have made or retained it
_started = False
_runtime_uses_primary = False


def start() -> None:
    """cuInit."""
    global _started
    _started = True


def started() -> bool:
    return _started


def stack() -> list[int]:
    """This thread's contexts, the current one last."""
    if not hasattr(_thread, "stack"):
        _thread.stack = []
    result: list[int] = _thread.stack
    return result


def alive(context: int) -> bool:
    return context in _users


def create() -> int:
    """cuCtxCreate: a new context, current in this thread."""
    context = next(_numbers)
    retain(context)
    stack().append(context)
    return context


def retain(context: int) -> None:
    with _lock:
        _users[context] = _users.get(context, 0) + 1


def release(context: int) -> None:
    """One user less; with the last one the context ends, and with the last context all that the device holds.

    Raises:
        DeviceError: there is no such context (any more).
    """
    with _lock:
        if context not in _users:
            if context and context != PRIMARY:
                raise DeviceError("CUDA_ERROR_CONTEXT_IS_DESTROYED", "this context was destroyed already")
            raise DeviceError("CUDA_ERROR_INVALID_CONTEXT", "nobody uses this context any more")
        _users[context] -= 1
        ended = not _users[context]
        if ended:
            del _users[context]
        last = not _users
    if ended:
        own = stack()
        if own and own[-1] == context:
            own.pop()
    device = _host.current().device
    if last and isinstance(device, InProcessDevice | RemoteDevice):  # a real GPU's contexts are the driver's affair
        device.reset()


def forget_all() -> None:
    """A process that begins anew: there is no context, and cuInit was not called."""
    global _started, _runtime_uses_primary
    with _lock:
        _users.clear()
    stack().clear()
    _started = _runtime_uses_primary = False


def use_primary() -> None:
    """What every call of the runtime API does first: where no context is current, the primary one becomes it."""
    global _started, _runtime_uses_primary
    own = stack()
    if not own:
        own.append(PRIMARY)
    elif own[-1] in _users:
        return
    elif own[-1] != PRIMARY:
        raise DeviceError("CUDA_ERROR_INVALID_CONTEXT", _DESTROYED)
    if PRIMARY not in _users or not _runtime_uses_primary:
        _started = _runtime_uses_primary = True
        retain(PRIMARY)


def need() -> None:
    """Raises DeviceError where no context is current in this thread, or the current one was destroyed."""
    own = stack()
    if not own:
        raise DeviceError("CUDA_ERROR_INVALID_CONTEXT", NONE_CURRENT)
    if own[-1] not in _users:
        raise DeviceError("CUDA_ERROR_CONTEXT_IS_DESTROYED", _DESTROYED)
