"""Troubleshooting: well-formed data, a search that finds real messages with other numbers, the page that is made of it."""

from __future__ import annotations

import io
import re
import tomllib
from pathlib import Path

import pytest

from helpers import troubleshooting
from helpers.__main__ import main
from helpers.troubleshooting import (
    BY_MESSAGE,
    BY_NAME,
    BY_PART,
    BY_WORDS,
    DATA,
    NEAREST,
    PAGE,
    Entry,
    TroubleshootingError,
    entry,
    load,
    provoked,
    search,
)

PITFALLS = tuple(row for row in load() if row.kind == "pitfall")
# The headings of the original project's list, in its order.
NINE = (
    "kernel-only",
    "profile-coverage",
    "unsupported-operators",
    "autoregressive",
    "trtexec-not-found",
    "profile-constraints",
    "input-mismatch",
    "cuda-compatibility",
    "missing-libraries",
)


def ids(text: str) -> list[str]:
    return [hit.entry.id for hit in search(text)]


# --- the data ---


def test_the_nine_pitfalls_and_all_the_rows_are_there() -> None:
    assert tuple(row.id for row in PITFALLS) == NINE
    stumbles = tomllib.loads((DATA / "stumbles.toml").read_text(encoding="utf-8"))
    assert [row["number"] for row in stumbles["entry"]] == list(range(1, 31)) and len(stumbles["question"]) == 10


@pytest.mark.parametrize("row", load(), ids=lambda row: row.id)
def test_every_entry_says_what_to_do_and_where_it_comes_from(row: Entry) -> None:
    assert re.fullmatch(r"[a-z0-9-]{3,40}", row.id) and row.title and row.remedy and row.sources
    assert row.errors or row.symptoms
    assert row.kind == "question" or row.cause
    for source in row.sources:
        assert source.url.startswith("https://") or " " in source.name  # a thread or page, or a document's name
        assert source.opened or "(not opened)" in source.markdown()
    assert not any(len(re.sub(r"\W", "", error)) < 8 for error in row.errors)  # it would match everything


@pytest.mark.parametrize("row", PITFALLS, ids=lambda row: row.id)
def test_a_pitfall_says_what_was_said_then_and_what_is_true_now(row: Entry) -> None:
    assert row.original and row.today and row.provoked is not None
    assert row.provoked.errors or row.provoked.why
    assert all(number < len(row.errors) for number in row.provoked.errors)
    quoted = set(range(len(row.errors))) - set(row.provoked.errors)
    # what is not provoked is another wording of it, or is quoted with a reason
    assert not quoted or row.quoted or row.id == "unsupported-operators"


# --- the search ---


@pytest.mark.parametrize("row", PITFALLS, ids=lambda row: row.id)
def test_each_pitfall_is_found_by_each_of_its_messages_whatever_the_numbers_are(row: Entry) -> None:
    for error in row.errors:
        for filler in ("7", "[128,3,224,224]", "'some_other_name'"):
            pasted = f"12/31/2031 [TRT] [E] main.cpp:17: {error.replace('*', filler)} (and more)"
            hits = search(pasted, limit=10)
            assert row.id in [hit.entry.id for hit in hits] and hits[0].by == BY_MESSAGE


@pytest.mark.parametrize("row", PITFALLS, ids=lambda row: row.id)
def test_each_pitfall_is_found_by_each_of_its_symptoms(row: Entry) -> None:
    for symptom in row.symptoms:
        assert row.id in ids(symptom)


@pytest.mark.parametrize("row", [row for row in load() if row.kind != "pitfall"], ids=lambda row: row.id)
def test_every_other_entry_is_found_too(row: Entry) -> None:
    for text in (*(error.replace("*", "x1") for error in row.errors), *row.symptoms):
        assert row.id in [hit.entry.id for hit in search(text, limit=6)]


# Messages as they were posted or printed elsewhere, with shapes, names and versions of their own.
PASTED = {
    "[E] 3: [executionContext.cpp::nvinfer1::rt::ExecutionContext::validateInputBindings::2045] Error Code 3: API Usage Error"
    " (Parameter check failed at: runtime/api/executionContext.cpp::validateInputBindings::2045, condition: profileMaxDims.d[i]"
    " >= dimensions.d[i]. Supplied binding dimension [1,308,768] for bindings[2] exceed min ~ max range at index 1, maximum"
    " dimension in profile is 231, minimum dimension in profile is 77, but supplied dimension is 308.": "profile-coverage",
    "Error Code 3: API Usage Error ... Supplied binding dimension [16,5] ... but profile is 12": "profile-coverage",
    "profileMinDims <= dimensions.d[i]": "profile-constraints",
    "IExecutionContext::setInputShape: Error Code 3: API Usage Error (Parameter check failed, condition: satisfyProfile. Set"
    " dimension [1,3,640,640] for tensor images does not satisfy any optimization profiles. Valid range for profile 1:"
    " [1,3,320,320]..[8,3,512,512].)": "profile-coverage",
    "pycuda._driver.LogicError: cuStreamSynchronize failed: an illegal memory access was encountered": "profile-coverage",
    "torch.onnx.errors.UnsupportedOperatorError: Exporting the operator 'aten::unflatten' to ONNX opset version 13 is not"
    " supported.": "unsupported-operators",
    "/usr/bin/python3: No module named transformers.onnx": "unsupported-operators",
    "/bin/bash: trtexec: command not found": "trtexec-not-found",
    "’trtexec’ is not recognized as an internal or external\ncommand, operable program or batch file.": "trtexec-not-found",
    "[network.cpp::validate::3225] Error Code 4: Internal Error (Network has dynamic or shape inputs, but no optimization"
    " profile has been defined.)": "profile-constraints",
    "InvalidArgument: [ONNXRuntimeError] : 2 : INVALID_ARGUMENT : Unexpected input data type. Actual: (tensor(int32)) ,"
    " expected: (tensor(int64))": "input-mismatch",
    "[TRT] [E] 1: [caskUtils.cpp::nvinfer1::rt::task::trtSmToCask::193] Error Code 1: Internal Error (Unsupported SM:"
    " 0x601)": "cuda-compatibility",
    "[TRT] [W] CUDA initialization failure with error: 35. Please check your CUDA installation": "cuda-compatibility",
    "ImportError: libcudnn.so.8: cannot open shared object file: No such file or directory": "missing-libraries",
    "FileNotFoundError: Could not find: nvinfer.dll. Is it on your PATH?\nNote: Paths searched were:": "missing-libraries",
    "AttributeError: 'tensorrt.tensorrt.ICudaEngine' object has no attribute 'num_bindings'": "removed-api",
    "AttributeError: 'NoneType' object has no attribute 'create_execution_context'": "none-unnoticed",
}


@pytest.mark.parametrize("message", PASTED, ids=lambda text: text[:40])
def test_a_pasted_message_leads_to_its_row_first(message: str) -> None:
    hits = search(message)
    assert hits[0].by == BY_MESSAGE and hits[0].entry.id == PASTED[message]


def test_a_piece_of_a_message_and_a_symptom_in_other_words_are_enough() -> None:
    assert search("does not satisfy any optimization profiles")[0].by in (BY_PART, BY_MESSAGE)
    hit = search("exceed min ~ max range")[0]
    assert (hit.by, hit.entry.id) == (BY_PART, "profile-coverage")
    for question, wanted in (
        ("left padded prompts generate other text in a batch", "autoregressive"),
        ("kernel time is much smaller than end-to-end latency", "kernel-only"),
        ("first call takes a hundred times longer", "slow-first-call"),
        ("my GTX 1060 is a Pascal card", "cuda-compatibility"),
    ):
        found = search(question)
        assert wanted in [hit.entry.id for hit in found] and found[0].by in (BY_NAME, BY_WORDS)


# What people type who are in trouble, and the rows of which one at least has to be among the three that are shown.
TYPED = {
    "context.set_binding_shape AttributeError": "removed-api",
    "IExecutionContext has no attribute set_binding_shape": "removed-api",
    "execute_async_v2 not found": "removed-api",
    "binding_is_input": "removed-api",
    "max_batch_size deprecated": "removed-api",
    "my results are zeros": "no-synchronise",
    "output is all zeros": "no-synchronise",
    "cudaErrorIllegalAddress": "illegal-address profile-coverage",
    "CUDA error 700": "illegal-address profile-coverage",
    "pycuda says CUDA_ERROR_LAUNCH_FAILED (error code: 719)": "illegal-address",
    "error code 35": "cuda-compatibility driver-or-bindings",
    "no CUDA-capable device is detected": "driver-or-bindings",
    "CUDA_ERROR_OUT_OF_MEMORY": "memory-budget",
    "out of memory when building": "memory-budget",
    "OOM": "memory-budget",
    "engine is None": "none-unnoticed",
    "NaN in fp16": "fp16-overflow masked-row",
    "the export hangs in my notebook": "unsupported-operators",
    "slow first inference": "slow-first-call",
    "only works with batch size 1": "static-axis profile-constraints",
    "where is trtexec on windows": "trtexec-not-found",
    "python cannot find nvinfer.dll": "broken-install missing-libraries",
    "onnxruntime uses cpu instead of gpu": "ort-tensorrt-provider",
    "wrong output after int32 inputs": "input-mismatch int64-binding",
    "tensorrt slower than pytorch": "gpt2-engine-slow",
    "generated text repeats itself": "autoregressive",
    "padding changes the output": "left-padding autoregressive",
    "my gpu is too old": "gpu-age cuda-compatibility",
    "RTX 5090 not supported": "gpu-age",
    "cuDNN missing": "missing-libraries",
    "pycuda does not compile": "driver-or-bindings",
    "memory leak in a loop": "destruction-order",
    "CUDA graph capture fails": "stream-capture",
    "different results every run": "not-reproducible",
    "why is end to end slower than kernel time": "kernel-only",
    "plan built on another machine": "plan-elsewhere cuda-compatibility",
    "export fails opset": "unsupported-operators",
    "sequence too long for the engine": "profile-coverage outside-profile",
    "two threads, one engine": "shared-context",
    "2GB onnx": "weights-in-a-file",
}


@pytest.mark.parametrize("question", TYPED)
def test_what_people_type_leads_to_a_fitting_row(question: str) -> None:
    assert set(ids(question)) & set(TYPED[question].split()), ids(question)


def test_names_that_the_simulator_knows_as_removed_lead_to_their_row() -> None:
    from helpers.simulator.names import _REMOVED

    removed = {name for owner in ("ICudaEngine", "IExecutionContext", "Builder", "IBuilderConfig") for name in _REMOVED[owner]}
    for name in removed:
        # `execute`, `get_device_memory_size_for_profile` and the like exist in other forms, and are no names of a row
        if name in entry("removed-api").names:
            assert ids(f"object has no attribute {name!r}")[0] == "removed-api"
    assert len(removed & set(entry("removed-api").names)) >= 12


def test_where_nothing_fits_the_nearest_are_shown_and_called_so(capsys: pytest.CaptureFixture[str]) -> None:
    assert {hit.by for hit in search("my dog ate the GPU")} == {NEAREST}
    assert main(["troubleshoot", "my dog ate the GPU"]) == 0
    assert capsys.readouterr().out.startswith("No message or symptom fits. The nearest that are known:")


def test_what_nobody_knows_finds_nothing_and_an_empty_question_is_refused() -> None:
    assert search("strawberry jam recipe for beginners") == []
    with pytest.raises(TroubleshootingError, match="Nothing to look for"):
        search("  \n")
    with pytest.raises(TroubleshootingError, match=r"No entry 'nonsense'.*kernel-only"):
        entry("nonsense")


def test_a_star_does_not_reach_across_a_whole_log() -> None:
    first, last = (
        "Set dimension [1] for tensor x",
        "does not satisfy any optimization profiles. Valid range for profile 0:",
    )
    assert not entry("profile-coverage").matches(f"condition: satisfyProfile. {first}" + " something else" * 40 + last)


# --- provoking ---


def test_a_provoked_message_is_printed_and_has_to_lead_to_its_row(capsys: pytest.CaptureFixture[str]) -> None:
    with provoked("missing-libraries"):
        raise OSError("libcudnn.so.77: cannot open shared object file: No such file or directory")
    assert capsys.readouterr().out.startswith("> OSError: libcudnn.so.77: cannot")
    with provoked("trtexec-not-found") as said:
        said.say("")
        said.say("sh: 1: trtexec: not found")
    assert capsys.readouterr().out == "> sh: 1: trtexec: not found\n"
    with (
        pytest.raises(TroubleshootingError, match="None of these messages leads to 'missing-libraries'"),
        provoked("missing-libraries"),
    ):
        raise OSError("the disk is full")
    with pytest.raises(TroubleshootingError, match="Nothing went wrong"), provoked("missing-libraries"):
        pass
    with provoked("missing-libraries", here=False):
        pass
    assert "This machine has what is missing elsewhere" in capsys.readouterr().out


# --- the page and the command ---


def test_the_page_is_what_the_data_gives() -> None:
    assert PAGE.read_text(encoding="utf-8") == troubleshooting.page(), "run: python -m helpers troubleshoot --write"
    text = PAGE.read_text(encoding="utf-8")
    assert all(f"### {row.title}\n" in text for row in load())
    assert text.index(PITFALLS[0].title) < text.index(PITFALLS[-1].title)


def test_the_command_finds_reads_a_pipe_and_says_where_nothing_is_known(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert main(["troubleshoot", "bash: trtexec: command", "not found"]) == 0
    said = capsys.readouterr().out
    assert said.startswith("1. trtexec is not found [trtexec-not-found], found by the message") and "to do:" in said
    monkeypatch.setattr(
        "sys.stdin",
        io.StringIO("Traceback\nlibcudnn.so.9: cannot open shared object file: No such file or directory\n"),
    )
    assert main(["troubleshoot", "-"]) == 0
    assert "[missing-libraries]" in capsys.readouterr().out
    assert main(["troubleshoot", "strawberry jam recipe"]) == 1
    assert "Nothing is known of that" in capsys.readouterr().out
    assert main(["troubleshoot"]) == 1
    assert "error: Nothing to look for" in capsys.readouterr().err


def test_the_page_is_written_by_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(troubleshooting, "PAGE", tmp_path / "page.md")
    monkeypatch.setattr(troubleshooting, "ROOT", tmp_path)
    assert main(["troubleshoot", "--write"]) == 0
    assert (tmp_path / "page.md").read_text(encoding="utf-8") == troubleshooting.page()


def test_broken_data_is_named(tmp_path: Path) -> None:
    good = (
        '[[entry]]\nid = "one"\ntitle = "t"\nsymptoms = ["s"]\ncause = "c"\nremedy = "r"\nsources = []\nopened = []\n'
    )
    question = '[[question]]\nid = "two"\ntitle = "t"\nsymptoms = ["s"]\nremedy = "r"\nsources = []\nopened = []\n'

    def refused(pitfalls: str, stumbles: str) -> str:
        (tmp_path / "pitfalls.toml").write_text(pitfalls)
        (tmp_path / "stumbles.toml").write_text(stumbles)
        load.cache_clear()
        try:
            with pytest.raises(TroubleshootingError) as caught:
                load(tmp_path)
        finally:
            load.cache_clear()
        return str(caught.value)

    rest = good.replace("one", "three") + question
    assert "pitfalls.toml cannot be read" in refused("not toml at all", rest)
    assert "'one' occurs twice" in refused(good, good + question)
    assert "The entry 'one' is malformed" in refused(good.replace('title = "t"\n', ""), rest)
    assert "opened names" in refused(good.replace("opened = []", 'opened = ["a/b#1"]'), rest)
