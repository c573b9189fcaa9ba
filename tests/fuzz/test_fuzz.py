"""A fixed share of the fuzzing, and what must hold of every plan, manifest and file whatsoever."""

from __future__ import annotations

import json
import random
import signal
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers.simulator import guard
from helpers.simulator.native import BUILDER
from helpers.simulator.plan import DTYPES, Plan, PlanError, TensorSpec, open_plan

from . import campaign, messages, onnx_files, plans, seeds
from .__main__ import CAMPAIGNS, main
from .campaign import Campaign
from .clear import unclear
from .mutate import mutated_bytes, mutated_json

linux = pytest.mark.skipif(sys.platform != "linux", reason="limits of memory are Linux's")
SHARE = {"plans": 150, "messages": 400, "onnx-nvidia-alone": 100, "onnx-nvidia-guarded": 15, "onnx-python-builder": 15}


@linux
@pytest.mark.parametrize("name", CAMPAIGNS)
def test_a_share_of_the_cases_has_no_fault(name):
    report = campaign.run(CAMPAIGNS[name], 0, SHARE[name])
    assert report.counts.total() == SHARE[name]
    assert not report.faults, report.plain()["bad"]
    assert len(report.counts) > 1  # not all of them end at one door


@linux
@pytest.mark.skipif(BUILDER != "nvidia", reason="needs NVIDIA's parser")
def test_what_kills_nvidias_parser_alone_is_outlived_behind_the_guard():
    deadly = 181  # a node with no output
    alone = campaign.run(onnx_files.NVIDIA, deadly, deadly + 1)
    assert dict(alone.counts) == {"BAD: dies of SIGSEGV": 1} and alone.faults == 0  # it is not ours
    behind = campaign.run(onnx_files.GUARDED, deadly, deadly + 1)
    assert dict(behind.counts) == {"parse False: it would end the process": 1}


# --- the fuzzer itself ---


def _dying() -> Campaign:
    """Cases that end well, raise, die, hang and take memory, in turn."""

    def start():
        def case(number: int) -> str:
            if number % 5 == 1:
                return "BAD: so it says"
            if number % 5 == 2:
                signal.raise_signal(signal.SIGSEGV)
            if number % 5 == 3:
                signal.pause()
            if number % 5 == 4:
                try:
                    bytearray(1 << 32)
                except MemoryError:
                    return "no memory"
            return "well"

        return case

    return Campaign("self-test", 10, start, seconds=0.5, memory=256 << 20)


@linux
def test_deaths_hangs_and_lack_of_memory_cost_their_own_case_alone(monkeypatch, tmp_path):
    kind = _dying()
    (tmp_path / "fuzz_self_test.py").write_text(
        "import sys\nfrom tests.fuzz import campaign, test_fuzz\n"
        "first, last, descriptor = map(int, sys.argv[-3:])\n"
        "campaign.serve_cases(test_fuzz._dying(), first, last, descriptor)\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setattr(campaign, "MODULE", "fuzz_self_test")
    report = campaign.run(kind, 0, 10)
    assert dict(report.counts) == {
        "well": 2,
        "BAD: so it says": 2,
        "BAD: dies of SIGSEGV": 2,
        "BAD: hangs (more than 0.5 s)": 2,
        "no memory": 2,
    }
    assert report.faults == 6 and report.bad["BAD: dies of SIGSEGV"] == [2, 7]


def test_cases_are_functions_of_their_numbers():
    for number in range(40):
        assert plans.plan(number) == plans.plan(number)
        assert onnx_files.file(number) == onnx_files.file(number)
        assert messages.conversation(number) == messages.conversation(number)
    assert len({plans.plan(number) for number in range(100)}) > 90


def test_files_are_small_and_half_of_the_plans_get_past_the_door():
    past = 0
    for number in range(300):
        data = plans.plan(number)
        assert len(data) < 20_000
        try:
            open_plan(data)
            past += 1
        except PlanError as error:
            past += "manifest cannot be read" in str(error) or "Version tag" in str(error)  # lengths and digests fit
    assert past >= 150
    assert max(len(onnx_files.file(number)) for number in range(300)) < 25_000


def test_the_seeds_are_well_formed():
    for model in seeds.models().values():
        assert guard.look(model.SerializeToString()).flaw == ""
    for plan in seeds.plans().values():
        assert open_plan(plan.serialize()) == plan


def test_the_command_says_which_kinds_there_are(capsys):
    with pytest.raises(SystemExit):
        main(["nonsense"])
    assert "expected some of plans, messages" in capsys.readouterr().err


@linux
def test_the_command_shows_counts_and_keeps_them(capsys, tmp_path, monkeypatch):
    monkeypatch.setattr("tests.fuzz.__main__.results_folder", lambda env: tmp_path)
    assert main(["messages", "--cases", "0:20", "--workers", "1", "--save"]) == 0
    assert "0 faults in 20 cases" in capsys.readouterr().out
    kept = json.loads((tmp_path / "fuzz.json").read_text())
    assert kept["seed"] == campaign.SEED and kept["kinds"]["messages"]["cases"] == 20


# --- what holds of all ---

NAMES = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=8)
SIZES = st.integers(0, (1 << 40) - 1)


@st.composite
def any_plans(draw) -> Plan:
    names = draw(st.lists(NAMES, min_size=1, max_size=4, unique=True))
    tensors = []
    for i, name in enumerate(names):
        shape = tuple(draw(st.lists(st.integers(-1, (1 << 40) - 1), max_size=4)))
        mode = "OUTPUT" if i == 0 else draw(st.sampled_from(["INPUT", "OUTPUT"]))
        tensors.append(TensorSpec(name, draw(st.text("abc")), mode, draw(st.sampled_from(sorted(DTYPES))), shape, draw(st.booleans())))
    profile = {}
    for t in tensors:
        if t.mode == "INPUT" and (-1 in t.shape or draw(st.booleans())):
            ends = [tuple(sorted(draw(st.tuples(SIZES, SIZES, SIZES)))) for _ in t.shape]
            profile[t.name] = tuple(tuple(e[k] for e in ends) for k in range(3))
    count = draw(st.integers(1, 3))
    settings = st.dictionaries(NAMES, st.one_of(st.none(), st.booleans(), st.integers(-5, 5), NAMES), max_size=3)
    return Plan(
        *(draw(NAMES) for _ in range(4)),
        tensors=tuple(tensors),
        profiles=(profile,) * count,
        shape_values=({},) * count,
        settings=draw(settings),
        activation_bytes=tuple(draw(SIZES) for _ in range(count)),
        weight_bytes=draw(SIZES),
        layers=draw(st.integers(0, 1000)),
        nvidia=draw(st.binary(max_size=50)),
        onnx=draw(st.binary(max_size=50)),
        layer_info=tuple(draw(st.lists(NAMES, max_size=3))),
    )


@settings(max_examples=150, deadline=None)
@given(any_plans())
def test_opening_a_plan_is_the_inverse_of_writing_it(plan):
    assert open_plan(plan.serialize()) == plan


def opens_or_says_why(data: bytes) -> None:
    try:
        assert isinstance(open_plan(data), Plan)
    except PlanError as error:
        assert not unclear(str(error)), str(error)
        str(error).encode()


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=300))
def test_any_bytes_are_a_plan_or_refused_in_words(data):
    opens_or_says_why(data)
    opens_or_says_why(plans._container(data, b"", b""))  # a manifest whose digest is right


JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5)),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(st.text(max_size=5), inner, max_size=3)),
    max_leaves=8,
)


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(sorted(seeds.plans()["add"].description())), JSON)
def test_any_entry_of_the_manifest_may_be_anything(key, value):
    plan = seeds.plans()["add"]
    opens_or_says_why(plans._container(plan.description() | {key: value}, plan.nvidia, plan.onnx))


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 1 << 32))
def test_mutated_manifests_are_refused_in_words(seed):
    rng, plan = random.Random(seed), seeds.plans()["attention"]
    description = mutated_json(plan.description(), rng, 2)
    opens_or_says_why(plans._container(description if isinstance(description, dict) else b"[]", plan.nvidia, plan.onnx))


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=200), st.integers(0, 1 << 32))
def test_a_look_at_any_file_only_looks(data, seed):
    for model in (data, mutated_bytes(seeds.models()["attention"].SerializeToString(), random.Random(seed))):
        seen = guard.look(model)
        assert seen.readable or seen.flaw


@pytest.mark.parametrize(
    ("manifest", "said"),
    [
        (b"[" * 100_000, "nested too deep"),
        (b"[" + b"[]," * 1_000_000 + b"0]", "expected at most 16,777,216, of 1,000,000 values"),
        (b" " * (17 << 20), "17,825,792 bytes; expected at most"),
        (b'{"format": 1' + b"1" * 5000 + b"}", "it is not JSON"),
        (b'{"format": "\\ud800"}', "no Unicode"),
        (b"null", "it is None; expected an object"),
        (b"{}", "it has no entry 'format'"),
        (b'{"format": "1"}', "'format' is '1'; expected an integer"),
    ],
)
def test_manifests_that_would_cost_too_much_or_are_none(manifest, said):
    with pytest.raises(PlanError, match="manifest cannot be read") as caught:
        open_plan(plans._container(manifest, b"", b""))
    assert said in str(caught.value)


@pytest.mark.parametrize("text", ["", "KeyError: 'x'", "'NoneType' object is not iterable", "wrong", "not enough values to unpack"])
def test_errors_that_are_not_clear(text):
    assert unclear(text)
    assert not unclear("memcpy: expected int, got NoneType")
