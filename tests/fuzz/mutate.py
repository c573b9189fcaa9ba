"""Mutations of bytes, of JSON-like values and of protobuf messages. All randomness comes from the caller's generator."""

from __future__ import annotations

import copy
import functools
import random
from collections.abc import Iterator
from typing import Any

import onnx
from google.protobuf.message import Message

INTEGERS = (
    *(0, 1, -1, 2, 3, 4, 7, 8, 9, 10, 16, 63, 64, 100, 127, 128, 255, 256, 1000, 65535, 65536),
    *((1 << 24), (1 << 31) - 1, -(1 << 31), 1 << 31, (1 << 32) - 1, 1 << 32, 1 << 40, 1 << 47, 1 << 48, 1 << 62),
    *((1 << 63) - 1, -(1 << 63)),
)
FLOATS = (0.0, -0.0, 1.0, -1.0, 0.5, 1e-45, 1e38, -1e38, 1e308, float("inf"), float("-inf"), float("nan"))
TEXTS = (
    *("", "x", "y", "a", "\0", "é", "/", "..", "../../etc/passwd", "/dev/zero", "weights.bin", "%s%n", "x" * 300, "\U0001f600"),
    *("FLOAT", "INPUT", "OUTPUT", "location", "offset", "length", "com.microsoft", "ai.onnx.ml", "NOTSET", "SAME_UPPER"),
)
LARGEST = 20_000  # bytes of a mutated file


def mutated_bytes(data: bytes, rng: random.Random) -> bytes:
    """Bits turned, bytes replaced, pieces cut, doubled, moved, or the end cut off."""
    changed = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 4, 8))):
        if not changed:
            return rng.randbytes(rng.randrange(1, 64))
        place = rng.randrange(len(changed))
        length = rng.choice((1, 2, 4, 16, 64))
        match rng.randrange(7):
            case 0:
                changed[place] ^= 1 << rng.randrange(8)
            case 1:
                changed[place] = rng.choice((0, 1, 0x7F, 0x80, 0xFF, rng.randrange(256)))
            case 2:
                del changed[place : place + length]
            case 3:
                changed[place:place] = changed[place : place + length]
            case 4:
                changed[place:place] = rng.randbytes(length)
            case 5:
                source = rng.randrange(len(changed))
                changed[place : place + length] = changed[source : source + length]
            case 6:
                if rng.random() < 0.3:
                    del changed[place:]
                else:  # a number in protobuf's way of writing it, where one may stand
                    changed[place : place + 1] = b"\xff" * rng.randrange(1, 10) + b"\x01"
    return bytes(changed)


# --- JSON -------------------------------------------------------------------------------------------------------------


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    """(container, key) of every value inside `value`."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        yield value, key
        yield from _places(item)


def odd_value(rng: random.Random, depth: int = 3) -> Any:
    """A value that is most likely of another type, or of another size, than what is expected."""
    match rng.randrange(10):
        case 0:
            return None
        case 1:
            return rng.random() < 0.5
        case 2 | 3:
            return rng.choice(INTEGERS)
        case 4:
            return rng.choice(FLOATS)
        case 5 | 6:
            return rng.choice(TEXTS)
        case 7:
            return [odd_value(rng, depth - 1) for _ in range(rng.randrange(4))] if depth else []
        case 8:
            return {rng.choice(TEXTS): odd_value(rng, depth - 1) for _ in range(rng.randrange(4))} if depth else {}
        case _:
            deep: Any = rng.choice(INTEGERS)
            for _ in range(rng.choice((1, 5, 20, 100))):
                deep = [deep] if rng.random() < 0.8 else {"a": deep}
            return deep


def mutated_json(value: Any, rng: random.Random, times: int = 1) -> Any:
    """A copy of a JSON-like value with `times` changes at random places of it."""
    value = [copy.deepcopy(value)]
    for _ in range(times):
        places = list(_places(value))
        container, key = rng.choice(places)
        item = container[key]
        match rng.randrange(8):
            case 0:
                container[key] = odd_value(rng)
            case 1:
                if container is not value:
                    del container[key]
            case 2:  # what stands elsewhere
                other, other_key = rng.choice(places)
                container[key] = copy.deepcopy(other[other_key]) if other_key in _keys(other) else None
            case 3:
                if isinstance(container, list) and container is not value:
                    container.insert(key, copy.deepcopy(item))
                elif isinstance(container, dict):
                    container[rng.choice((str(key) + "x", str(key).upper(), *TEXTS))] = item
            case 4:
                if isinstance(container, dict):  # under another name
                    container[rng.choice([*container, *TEXTS])] = container.pop(key)
                elif container is not value:
                    rng.shuffle(container)
            case _:
                container[key] = _near(item, rng)
    return value[0]


def _keys(container: Any) -> Any:
    return container if isinstance(container, dict) else range(len(container))


def _near(item: Any, rng: random.Random) -> Any:
    """Another value of the same type."""
    if isinstance(item, bool):
        return not item
    if isinstance(item, int):
        return rng.choice((item + 1, item - 1, -item, item * 2, rng.choice(INTEGERS), rng.randrange(12)))
    if isinstance(item, float):
        return rng.choice(FLOATS)
    if isinstance(item, str):
        return rng.choice((item[:-1], item + "x", item.lower(), *rng.sample(TEXTS, 3)))
    if isinstance(item, bytes):
        return mutated_bytes(item, rng)
    if isinstance(item, list) and item:
        return item[: rng.randrange(len(item))] if rng.random() < 0.5 else item * rng.choice((2, 3, 50))
    return odd_value(rng)


# --- protobuf ---------------------------------------------------------------------------------------------------------


@functools.cache
def operators() -> tuple[Any, ...]:
    """Schemas of all standard ONNX operators, the latest of each."""
    return tuple(sorted(onnx.defs.get_all_schemas(), key=lambda schema: (schema.domain, schema.name)))


def _messages(message: Message) -> Iterator[Message]:
    yield message
    for field, value in message.ListFields():
        if field.message_type is not None:
            for part in value if field.is_repeated else (value,):
                yield from _messages(part)


def mutated_model(model: onnx.ModelProto, rng: random.Random) -> bytes:
    """`model` with some parts changed, as bytes; one in four is changed as bytes, too."""
    if rng.random() < 0.15:
        return mutated_bytes(model.SerializeToString(), rng)
    changed = onnx.ModelProto()
    changed.CopyFrom(model)
    for _ in range(rng.choice((1, 1, 1, 2, 3, 5))):
        before = _copy(changed)
        if rng.random() < 0.3:
            _operator(changed, rng)
        else:
            _field(changed, rng)
        if changed.ByteSize() > LARGEST:  # a graph put into itself doubles each time
            changed.CopyFrom(before)
    data = changed.SerializeToString()
    return mutated_bytes(data, rng) if rng.random() < 0.1 else data


def _names(model: Message) -> list[str]:
    """All texts of the model: names of tensors, nodes, dimensions."""
    found = []
    for part in _messages(model):
        for field, value in part.ListFields():
            if field.type == field.TYPE_STRING:
                found += value if field.is_repeated else [value]
    return found or ["x"]


def _operator(model: onnx.ModelProto, rng: random.Random) -> None:
    """Put any operator in the place of a node, or behind one, with inputs and attributes that it may have."""
    graphs = [part for part in _messages(model) if isinstance(part, onnx.GraphProto) and part.node]
    if not graphs:
        return
    graph = rng.choice(graphs)
    node = rng.choice(graph.node)
    schema = rng.choice(operators())
    names = _names(model)
    made = onnx.NodeProto(op_type=schema.name, domain=schema.domain, name=node.name)
    count = rng.randint(schema.min_input, max(schema.min_input, min(schema.max_input, 6)))
    made.input.extend(rng.choice((*node.input, *names)) for _ in range(count))
    made.output.extend(list(node.output)[: max(schema.max_output, 1)])
    for name, attribute in schema.attributes.items():
        if attribute.required or rng.random() < 0.4:
            made.attribute.append(_attribute(name, attribute, model, rng))
    if rng.random() < 0.6:
        node.CopyFrom(made)
    else:  # before it: one of the node's inputs now comes from here
        if node.input:
            del made.output[:]
            made.output.append("made" + str(rng.randrange(3)))
            node.input[rng.randrange(len(node.input))] = made.output[0]
        later = [onnx.NodeProto.FromString(n.SerializeToString()) for n in graph.node]
        del graph.node[:]
        graph.node.extend((made, *later))


def _attribute(name: str, attribute: Any, model: onnx.ModelProto, rng: random.Random) -> onnx.AttributeProto:
    kind = attribute.type.value
    made = onnx.AttributeProto(name=name, type=kind)
    small = [rng.choice((0, 1, 2, -1, 3, rng.choice(INTEGERS))) for _ in range(rng.randrange(5))]
    of_kind = [part for part in _messages(model) if isinstance(part, onnx.GraphProto | onnx.TensorProto)]
    kinds = onnx.AttributeProto
    if kind == kinds.INT:
        made.i = rng.choice((0, 1, 2, -1, rng.choice(INTEGERS)))
    elif kind == kinds.INTS:
        made.ints.extend(small)
    elif kind == kinds.FLOAT:
        made.f = rng.choice(FLOATS)
    elif kind == kinds.FLOATS:
        made.floats.extend(rng.choice(FLOATS) for _ in small)
    elif kind == kinds.STRING:
        made.s = rng.choice(TEXTS).encode()
    elif kind == kinds.STRINGS:
        made.strings.extend(rng.choice(TEXTS).encode() for _ in small)
    elif kind == kinds.TENSOR:
        made.t.CopyFrom(rng.choice([p for p in of_kind if isinstance(p, onnx.TensorProto)] or [onnx.TensorProto()]))
    elif kind == kinds.GRAPH:
        made.g.CopyFrom(rng.choice([p for p in of_kind if isinstance(p, onnx.GraphProto)]))
    return made


def _field(model: onnx.ModelProto, rng: random.Random) -> None:
    """Change one field of one message inside `model`."""
    parts = list(_messages(model))
    part = rng.choice(parts)
    present = [field for field, _ in part.ListFields()]
    field = rng.choice(present) if present and rng.random() < 0.85 else rng.choice(part.DESCRIPTOR.fields)
    if field.message_type is not None:
        same = [p for p in parts if p.DESCRIPTOR is field.message_type]
        _sub_message(part, field, same, rng)
    elif field.is_repeated:
        _scalars(getattr(part, field.name), field, model, rng)
    elif rng.random() < 0.1:
        part.ClearField(field.name)
    else:
        setattr(part, field.name, _scalar(field, model, getattr(part, field.name), rng))


def _sub_message(part: Any, field: Any, same: list[Any], rng: random.Random) -> None:
    if not field.is_repeated:
        if rng.random() < 0.4 or not same:
            part.ClearField(field.name)
        else:
            getattr(part, field.name).CopyFrom(_copy(rng.choice(same)))
        return
    items = getattr(part, field.name)
    place = rng.randrange(len(items)) if items else 0
    match rng.randrange(5):
        case 0 if items:
            del items[place]
        case 1 if items:
            items[place].CopyFrom(_copy(rng.choice(same)))
        case 2 if len(items) > 1:
            order = [_copy(item) for item in items]
            rng.shuffle(order)
            del items[:]
            items.extend(order)
        case 3 if same:
            items.extend([_copy(rng.choice(same)) for _ in range(rng.choice((1, 1, 2, 30)))])
        case _:
            items.add()


def _copy(message: Any) -> Any:
    made = type(message)()
    made.CopyFrom(message)
    return made


def _scalars(items: Any, field: Any, model: onnx.ModelProto, rng: random.Random) -> None:
    place = rng.randrange(len(items)) if items else 0
    match rng.randrange(4):
        case 0 if items:
            del items[place]
        case 1:
            items.append(_scalar(field, model, items[place] if items else None, rng))
        case 2 if len(items) > 1:
            order = list(items)
            rng.shuffle(order)
            del items[:]
            items.extend(order)
        case _ if items:
            items[place] = _scalar(field, model, items[place], rng)
        case _:
            items.append(_scalar(field, model, None, rng))


def _scalar(field: Any, model: onnx.ModelProto, now: Any, rng: random.Random) -> Any:
    if field.type == field.TYPE_STRING:
        if field.name == "op_type" and rng.random() < 0.6:
            return rng.choice(operators()).name
        return rng.choice((rng.choice(_names(model)), rng.choice(TEXTS)))
    if field.type == field.TYPE_BYTES:
        return mutated_bytes(now or b"", rng) if rng.random() < 0.8 else rng.choice(TEXTS).encode()
    if field.type in (field.TYPE_FLOAT, field.TYPE_DOUBLE):
        return rng.choice(FLOATS)
    if field.type == field.TYPE_ENUM:
        return rng.choice([value.number for value in field.enum_type.values])
    small = rng.choice((rng.randrange(24), (now or 0) + 1, (now or 0) - 1, rng.choice(INTEGERS)))
    bits = 64 if field.type in (field.TYPE_INT64, field.TYPE_UINT64) else 32
    if field.type in (field.TYPE_UINT64, field.TYPE_UINT32):
        return small % (1 << bits)
    return (small + (1 << bits - 1)) % (1 << bits) - (1 << bits - 1)
