"""Mutated messages to the device: bytes, values, and calls that are valid but make no sense."""

from __future__ import annotations

import json
import os
import random
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from helpers.messages import Limits, ProtocolError, _encode, receive
from helpers.simulator.device import Device
from helpers.simulator.errors import ERROR_TEXTS
from helpers.simulator.transport import ALL_METHODS, serve

from .campaign import SEED, Campaign
from .clear import Fault, unclear
from .mutate import INTEGERS, mutated_bytes, mutated_json, odd_value
from .seeds import plans

MEMORY = 64 << 20
_LIMITS = Limits(nbytes=32 << 20, values=400_000)
_NAMES = ("x", "y", "q", "k", "mask", "input_ids", "nothing")


def message(value: Any) -> bytes:
    """One message in the format of `helpers/messages.py`."""
    head, parts = _encode(value, _LIMITS)
    return b"".join((head, *map(bytes, parts)))


def _small(rng: random.Random) -> int:
    """Identifiers are small, sizes are too; addresses are an allocation's, or near one."""
    return rng.choice((0, 1, 8, 16, rng.randrange(16, 40), rng.randrange(16, 30), 32, 64, 256, 1024))


def _address(rng: random.Random) -> int:
    return 0x3_0200_0000 + rng.choice((0, 0, 0, 8, 512, 1024, 1536, rng.randrange(1 << 14)))


def _shape(rng: random.Random) -> list[int]:
    if rng.random() < 0.7:
        return [rng.choice((1, 2, 4)), 8]
    return [rng.choice((1, 2, 8, rng.choice(INTEGERS))) for _ in range(rng.randrange(4))]


def _argument(kind: str, name: str, rng: random.Random) -> Any:
    """A value of the type that the device expects."""
    match kind:
        case "int" if name in ("address", "target", "source"):
            return _address(rng) if rng.random() < 0.9 else rng.choice(INTEGERS)
        case "int" if name == "rows":
            return rng.choice((1, 1, 2, 4, 8, rng.choice(INTEGERS)))
        case "int" if name in ("offset", "pitch", "host_pitch", "target_pitch", "source_pitch", "wait", "profile"):
            return rng.choice((0, 0, 0, 8, 64, rng.choice(INTEGERS)))
        case "int" if name in ("nbytes", "count"):
            return rng.choice((0, 1, 8, 32, 64, 64, 256, 1024, rng.choice(INTEGERS)))
        case "int":
            return _small(rng) if rng.random() < 0.9 else rng.choice(INTEGERS)
        case "bool":
            return rng.random() < 0.5
        case "str":
            return rng.choice(("", "float32", "int64", "uint8", "float16", "no dtype"))
        case "bytes" | "bytes | None" if name == "plan":
            data = bytes(rng.choice(list(plans().values())).serialize())
            return data if rng.random() < 0.8 else mutated_bytes(data, rng)
        case "bytes":
            return rng.randbytes(rng.choice((0, 1, 2, 4, 4, 3, 64)))
        case "bytes | None":
            return None if rng.random() < 0.3 else rng.randbytes(rng.choice((0, 8, 64, 256)))
        case "dict[str, int]":
            return {n: _address(rng) for n in ("x", "y", *rng.sample(_NAMES, 1))}
        case "dict[str, list[int]]":
            return {n: _shape(rng) for n in ("x", *rng.sample(_NAMES, 2))}
        case "dict[str, np.ndarray]":
            shape = rng.choice(((2, 8), (8,), (1, 4), ()))
            return {n: np.ones(shape, rng.choice(("float32", "int64", "bool"))) for n in rng.sample(_NAMES, 2)}
        case "dict[str, bytes] | None":
            return None if rng.random() < 0.5 else {n: rng.randbytes(8) for n in rng.sample(_NAMES, 1)}
    raise ValueError(f"the fuzzer has no value for an argument of type {kind!r}")


def _call(rng: random.Random) -> list[Any]:
    """[method, arguments] of the right types."""
    method = rng.choice(_WEIGHTED)
    if method == "host_fd":
        return [method, [_small(rng)]]
    arguments = []
    for kind, name in zip(ALL_METHODS[method], _parameters(method), strict=True):
        if kind.endswith("?") and rng.random() < 0.4:
            break
        arguments.append(_argument(kind.removesuffix("?"), name, rng))
    return [method, arguments]


def _parameters(method: str) -> list[str]:
    code = getattr(Device, method).__code__
    return list(code.co_varnames[1 : code.co_argcount])


# what makes things comes more often, so that there is something to use
_WEIGHTED = sorted(ALL_METHODS) + ["mem_alloc", "host_alloc", "stream_create", "engine_load", "context_create"] * 4 + ["host_fd"] * 2


def _start_up() -> list[Any]:
    """Calls after which every kind of object exists, with identifiers from 16 on."""
    plan = bytes(plans()["add"].serialize())
    calls: list[Any] = [["stream_create", [0]], ["stream_create", [1]], ["event_create", []]]
    calls += [["host_alloc", [1024]], ["mem_alloc", [1024]], ["mem_alloc", [4096]], ["engine_load", [plan]]]
    return [*calls, ["context_create", [20]], ["context_create", [20]]]


def conversation(number: int, seed: str = SEED) -> tuple[list[bytes], bool]:
    """The messages of case `number`, and whether each is valid (so that each must get an answer)."""
    rng = random.Random(f"message {seed} {number}")
    match number % 4:
        case 0:
            return [mutated_bytes(message(_call(rng)), rng)], False
        case 1:
            call = mutated_json(_call(rng), rng, rng.choice((1, 1, 2, 4)))
            return [_whatever(call, rng)], False
        case 2:
            method, arguments = _call(rng)
            if arguments:
                arguments[rng.randrange(len(arguments))] = rng.choice((rng.choice(INTEGERS), odd_value(rng)))
            return [_whatever([method, arguments], rng)], False
        case _:
            calls = [*_start_up(), *(_call(rng) for _ in range(24))]
            return [message(call) for call in calls], True


def _whatever(value: Any, rng: random.Random) -> bytes:
    """`value` as a message; what the format cannot hold is written as JSON by hand."""
    try:
        return message(value)
    except ProtocolError:
        text = json.dumps(value, default=lambda other: {"$bytes": 3}).encode()
        raw = rng.randbytes(rng.choice((0, 3, 8)))
        return struct.pack("<II", len(text), len(raw)) + text + raw


def talk(messages: list[bytes], valid: bool) -> str:
    """Send the messages to a device of their own; what became of them in a few words.

    Raises:
        Fault: something that must not happen.
    """
    ours, theirs = socket.socketpair()
    device = Device(memory=MEMORY, threads=1, shared=True)
    ended: list[BaseException | None] = []

    def run() -> None:
        try:
            serve(theirs, device, _LIMITS, ALL_METHODS)
            ended.append(None)
        except BaseException as error:
            ended.append(error)
        finally:
            theirs.close()

    with ours:
        server = threading.Thread(target=run, daemon=True)
        server.start()
        writer = threading.Thread(target=_write, args=(ours, messages), daemon=True)
        writer.start()
        answers = list(_answers(ours, messages))
        server.join()
        writer.join()
    (end,) = ended
    if end is not None and (not isinstance(end, ProtocolError) or unclear(str(end))):
        raise Fault(f"the device ends: {type(end).__name__}: {end}")
    if valid and (end is not None or len(answers) != len(messages)):
        raise Fault(f"{len(answers)} answers to {len(messages)} valid messages; {end}")
    for answer in answers:
        if answer[0] == "error":
            _, code, detail = answer
            why = unclear(detail) or ("" if code in ERROR_TEXTS and code != "CUDA_ERROR_UNKNOWN" else code)
            if why:
                raise Fault(f"{why} ({detail[:200]})")
        elif answer[0] != "ok":
            raise Fault(f"an answer {answer!r}")
    refused = sum(answer[0] == "error" for answer in answers)
    if valid:
        return "a sequence of valid calls: each answered or refused"
    if end is not None:
        return "malformed: the device ends, with words"
    return "refused" if refused else "answered" if answers else "the other end went away"


def _write(connection: socket.socket, messages: list[bytes]) -> None:
    try:
        for data in messages:
            connection.sendall(data)
        connection.shutdown(socket.SHUT_WR)
    except OSError:  # the device has ended
        pass


def _answers(connection: socket.socket, messages: list[bytes]) -> Iterator[Any]:
    for data in messages:
        try:
            if b'["host_fd",' in data[:24]:  # its answer comes behind a byte that carries the file descriptor
                _, descriptors, _, _ = socket.recv_fds(connection, 1, 4)
                for descriptor in descriptors:
                    os.close(descriptor)
            yield receive(connection)
        except (EOFError, ConnectionError):
            return


def start() -> Callable[[int], str]:
    def case(number: int) -> str:
        try:
            return talk(*conversation(number))
        except Fault as fault:
            return f"BAD: {fault}"

    return case


MESSAGES = Campaign("messages", 10_000, start, seconds=20.0, memory=1 << 30)
