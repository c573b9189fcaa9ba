"""Broken plans: None with a clear line, over both transports, and never a crash."""

from __future__ import annotations

import hashlib
import json
import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers.simulator.plan import MAGIC, NVIDIA_MAGIC, PlanError, open_plan


def _with_manifest(plan: bytes, **changes) -> bytes:
    """The plan with entries of its manifest replaced; lengths and digests stay right."""
    length = struct.unpack_from("<I", plan, 8)[0]
    manifest = {**json.loads(plan[HEAD : HEAD + length]), **changes}
    return _container(manifest, plan[HEAD + length :])


def _container(manifest: dict, parts: bytes) -> bytes:
    text = json.dumps(manifest).encode()
    return MAGIC + struct.pack("<I", len(text)) + hashlib.sha256(text).digest() + text + parts


HEAD = 8 + 4 + 32  # magic, length and digest of the manifest


BROKEN = {
    "empty": (lambda plan: b"", "empty memory buffer"),
    "one byte": (lambda plan: b"x", "bufferSize >= minBufferSize failed"),
    "text": (
        lambda plan: b"hello, I am a text file, and longer than a header",
        "header.magicTag == kEXPECTED_MAGIC_TAG failed",
    ),
    "random": (lambda plan: np.random.default_rng(0).bytes(5000), "kEXPECTED_MAGIC_TAG failed"),
    "truncated": (lambda plan: plan[: len(plan) // 2], "plan.header.size == blobSize failed"),
    "only the head": (lambda plan: plan[:50], "blobSize failed"),
    "one byte cut": (lambda plan: plan[:-1], "blobSize failed"),
    "one byte more": (lambda plan: plan + b"x", "blobSize failed"),
    "one bit turned": (lambda plan: plan[:-100] + bytes([plan[-100] ^ 1]) + plan[-99:], "checksum"),
    "other version": (lambda plan: _with_manifest(plan, version="9.9.9"), "Version tag does not match"),
    "other format": (lambda plan: _with_manifest(plan, format=99), "Version tag does not match"),
    "NVIDIA's plan alone": (
        lambda plan: open_plan(plan).nvidia or NVIDIA_MAGIC + bytes(60),
        "this is NVIDIA's plan alone",
    ),
    "manifest of another kind": (lambda plan: _with_manifest(plan, tensors=[1, 2]), "manifest cannot be read"),
    "unknown dtype": (
        lambda plan: _with_manifest(plan, tensors=[["x", "x", "INPUT", "FP4", [1], False]]),
        "manifest cannot be read",
    ),
    "negative size": (lambda plan: _with_manifest(plan, activation_bytes=[-1]), "manifest cannot be read"),
    "endless shape": (
        lambda plan: _with_manifest(plan, tensors=[["x", "x", "INPUT", "FLOAT", [1] * 99, False]]),
        "manifest cannot be read",
    ),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_broken_plan_is_none_and_named(trt, cuda, plans, log, kind):
    make, words = BROKEN[kind]
    assert trt.Runtime(log.logger).deserialize_cuda_engine(make(bytes(plans["add"]))) is None
    assert words in log.said(), log.said()
    assert trt.Runtime(log.logger).deserialize_cuda_engine(plans["add"]) is not None  # the device goes on


def test_model_that_onnxruntime_refuses(trt, cuda, plans, log):
    plan = bytes(plans["add"])
    opened = open_plan(plan)
    bad = b"not an ONNX model"
    parts = [[len(part), hashlib.sha256(part).hexdigest()] for part in (opened.nvidia, bad)]
    length = struct.unpack_from("<I", plan, 8)[0]
    container = _container({**json.loads(plan[HEAD : HEAD + length]), "parts": parts}, opened.nvidia + bad)
    assert trt.Runtime(log.logger).deserialize_cuda_engine(container) is None
    assert "ONNX Runtime cannot load the plan's model" in log.said()


@settings(max_examples=200, deadline=None)
@given(data=st.data())
def test_any_damage_is_a_plan_error(plans, data):
    plan = bytearray(plans["add"])
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, len(plan) - 1))
        plan[place] ^= data.draw(st.integers(1, 255))
    if bytes(plan) == bytes(plans["add"]):
        return
    with pytest.raises(PlanError):
        open_plan(bytes(plan))


def test_serialize_and_open_are_inverse(plans):
    for plan in plans.values():
        assert bytes(open_plan(plan).serialize()) == bytes(plan)
