"""The rules of `helpers.environment`, tried on machines that are only described, and its look at the real one."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
from pathlib import Path

import pytest

from helpers import environment
from helpers.environment import BackendUnavailable, Environment, Gpu, choose_backend, has_tensor_cores, misfits

NOTHING = dict.fromkeys(environment.PACKAGES)
BASE = {"torch": "2.13.0", "transformers": "5.23.0", "numpy": "2.4.6", "onnx": "1.23.2"}
BASE |= {"onnxscript": "0.7.2", "onnxconverter-common": "1.16.0"}
RTX = dict.fromkeys(("tensorrt-rtx", "tensorrt-rtx-cu13-bindings", "tensorrt-rtx-cu13-libs"), "1.7.1.116")
TENSORRT = dict.fromkeys(("tensorrt-cu13", "tensorrt-cu13-bindings", "tensorrt-cu13-libs"), "10.16.1.11")
RTX_MODULES = {"tensorrt_rtx", "tensorrt_rtx_bindings"}
TENSORRT_MODULES = {"tensorrt", "tensorrt_bindings"}

LAPTOP = Environment(
    python="3.12.4",
    platform="Linux x86_64",
    packages={**NOTHING, **BASE, **RTX, "torch": "2.13.0+cpu", "onnxruntime": "1.31.1"},
    onnxruntime_providers=("CPUExecutionProvider",),
    modules=(*RTX_MODULES, "onnxruntime"),
)


def machine(
    name: str, capability: tuple[int, int], *, rtx: bool = False, tensorrt: bool = True, **packages: str | None
):
    """A Linux machine with one GPU, a driver for CUDA 13, and everything of the `gpu` extra."""
    have = {**NOTHING, **BASE, "onnxruntime-gpu": "1.31.1", "pycuda": "2026.1", "cuda-bindings": "13.4.4"}
    have |= (
        (RTX if rtx else {}) | (TENSORRT if tensorrt else {}) | {k.replace("_", "-"): v for k, v in packages.items()}
    )
    modules = {"onnxruntime", "pycuda"} | (RTX_MODULES if rtx else set()) | (TENSORRT_MODULES if tensorrt else set())
    return Environment(
        python="3.11.9",
        platform="Linux x86_64",
        packages=have,
        onnxruntime_providers=("TensorrtExecutionProvider", "CUDAExecutionProvider", "CPUExecutionProvider"),
        gpu=Gpu(name, capability, 16 << 30, "580.95.05", has_tensor_cores(capability, name), 40),
        driver_cuda=(13, 0),
        modules=tuple(modules),
        cuda_headers=True,
    )


T4 = ("Tesla T4", (7, 5))
H100 = ("NVIDIA H100", (9, 0))
RTX4090 = ("NVIDIA GeForce RTX 4090", (8, 9))


@pytest.mark.parametrize(
    ("env", "backend", "reason", "engine"),
    [
        (LAPTOP, "simulator", "no NVIDIA GPU", "on the CPU"),
        (machine(*T4, rtx=True), "tensorrt", "Tesla T4 (compute capability 7.5) with tensorrt 10.16.1.11", "NVIDIA"),
        (machine(*T4, rtx=True, tensorrt=False), "tensorrt_rtx", "tensorrt_rtx 1.7.1.116", "NVIDIA"),
        (machine(*H100), "tensorrt", "9.0", "NVIDIA"),
        (machine(*H100, rtx=True, tensorrt=False), "simulator", "refuses compute capability 9.0", "its CUDA provider"),
        (machine("NVIDIA A100", (8, 0), rtx=True, tensorrt=False), "tensorrt_rtx", "8.0", "NVIDIA"),
        (machine(*RTX4090, rtx=True, tensorrt=False), "tensorrt_rtx", "8.9", "NVIDIA"),
        (machine("RTX 5090", (12, 0), rtx=True, tensorrt=False), "tensorrt_rtx", "12.0", "NVIDIA"),
        (machine("B200", (10, 0), rtx=True, tensorrt=False), "simulator", "refuses compute capability 10.0", "CUDA"),
        (machine("GTX 1080", (6, 1), rtx=True), "simulator", "needs compute capability 7.5", "CUDA"),
        (machine("V100", (7, 0), rtx=True), "simulator", "needs compute capability 7.5", "CUDA"),
    ],
)
def test_auto_takes_the_best_that_can_run(env: Environment, backend: str, reason: str, engine: str) -> None:
    choice = choose_backend(env)
    assert choice.backend == backend
    assert reason in choice.reason
    assert engine in choice.engine
    assert choice.provider == (
        None if backend != "simulator" else "CUDAExecutionProvider" if env.gpu else "CPUExecutionProvider"
    )


def test_an_old_tensorrt_and_an_old_driver_are_passed_over() -> None:
    old = dict.fromkeys(("tensorrt_cu12", "tensorrt_cu12_bindings", "tensorrt_cu12_libs"), "10.4.0")
    none = dict.fromkeys(("tensorrt_cu13", "tensorrt_cu13_bindings", "tensorrt_cu13_libs"))
    assert choose_backend(machine("V100", (7, 0), **none, **old)).backend == "tensorrt"  # 10.4 is the last for Volta
    blackwell = machine("RTX 5090", (12, 0), rtx=True, **none, **old)
    assert "10.8 does" in choose_backend(blackwell).reason
    eight = machine(*T4, rtx=True, **none, **dict.fromkeys(old, "8.6.1"))
    assert "older than 10" in choose_backend(eight).reason
    behind = dataclasses.replace(machine(*T4, rtx=True), driver_cuda=(12, 4))
    choice = choose_backend(behind)
    assert choice.backend == "simulator"
    assert "error: 35" in choice.reason


@pytest.mark.parametrize(
    ("env", "requested", "said"),
    [
        (LAPTOP, "tensorrt", "needs an NVIDIA GPU"),
        (LAPTOP, "tensorrt_rtx", "its runtime needs an NVIDIA GPU"),
        (machine(*H100, rtx=True), "tensorrt_rtx", "refuses compute capability 9.0"),
        (machine(*H100, tensorrt=False, rtx=True), "tensorrt", "not installed"),
        (machine(*H100, onnxruntime_gpu=None), "simulator", "ONNX Runtime, which is not installed"),
        (
            dataclasses.replace(LAPTOP, modules=tuple(RTX_MODULES)),
            "simulator",
            "ONNX Runtime, which is not installed",
        ),
        (dataclasses.replace(LAPTOP, onnxruntime_problem="ImportError: DLL"), "simulator", "ImportError: DLL"),
        (dataclasses.replace(LAPTOP, gpu_problem="cuInit fails with 803"), "tensorrt", "cuInit fails with 803"),
    ],
)
def test_a_backend_that_cannot_run_is_refused_with_the_reason(env: Environment, requested: str, said: str) -> None:
    with pytest.raises(BackendUnavailable, match="cannot run here") as error:
        choose_backend(env, requested)
    assert said in str(error.value)
    assert "Leave TRT_BACKEND unset" in str(error.value)


def test_a_backend_that_can_run_is_taken_when_asked_for() -> None:
    choice = choose_backend(machine(*T4, rtx=True), "simulator")
    assert (choice.backend, choice.provider) == ("simulator", "CUDAExecutionProvider")
    assert "TRT_BACKEND=simulator" in choice.reason
    with pytest.raises(ValueError, match="expected one of auto, tensorrt, tensorrt_rtx, simulator"):
        choose_backend(LAPTOP, "trt")
    with pytest.raises(BackendUnavailable, match="no backend can run here"):
        choose_backend(dataclasses.replace(LAPTOP, packages=NOTHING, modules=()))


def test_what_fits_has_no_misfit() -> None:
    assert misfits(LAPTOP) == []
    assert [m for m in misfits(machine(*H100, rtx=True)) if m.severe] == []
    assert misfits(machine(*H100, rtx=True)) == []
    assert misfits(machine(*T4, rtx=True)) == []  # TensorRT runs there, RTX only builds


def test_a_mac_has_the_simulators_own_builder() -> None:
    mac = changed(LAPTOP, platform="Darwin arm64", modules=("onnxruntime",), packages=dict.fromkeys(RTX))
    assert choose_backend(mac).builder == "the simulator's own builder, in Python"
    assert misfits(mac) == []
    assert environment.report_of(mac)["builder"]["name"] == "simulator"


def changed(env: Environment, **changes) -> Environment:
    packages = changes.pop("packages", {})
    return dataclasses.replace(env, packages={**env.packages, **packages}, **changes)


FULL_H100 = machine(*H100, rtx=True)


@pytest.mark.parametrize(
    ("env", "what", "remedy"),
    [
        pytest.param(changed(LAPTOP, python="3.10.2"), "Python 3.10.2 is outside", "PYTHON=python3.11", id="python"),
        pytest.param(changed(LAPTOP, packages={"onnx": None}), "not installed: onnx", "setup", id="base"),
        pytest.param(
            changed(LAPTOP, packages={"onnxruntime": None}),
            "no ONNX Runtime is installed",
            "setup",
            id="no onnxruntime",
        ),
        pytest.param(
            changed(LAPTOP, onnxruntime_problem="ImportError: x"),
            "cannot be imported: ImportError",
            "uninstall",
            id="ort",
        ),
        pytest.param(changed(LAPTOP, modules=()), "own builder (Python) stands in for NVIDIA's", "tensorrt-rtx", id="no rtx"),
        pytest.param(
            changed(LAPTOP, packages={"onnxruntime-gpu": "1.31.1"}),
            "are both installed",
            "install -c constraints.txt onnxruntime",
            id="both wheels",
        ),
        pytest.param(
            changed(FULL_H100, packages={"onnxruntime": "1.31.1"}),
            "are both installed",
            "install -c constraints.txt onnxruntime-gpu",
            id="both wheels on a GPU",
        ),
        pytest.param(
            changed(LAPTOP, packages={"onnxruntime": None, "onnxruntime-gpu": "1.31.1"}),
            "without a usable NVIDIA GPU",
            "nothing to do",
            id="GPU wheel without GPU",
        ),
        pytest.param(
            changed(FULL_H100, packages={"onnxruntime": "1.31.1", "onnxruntime-gpu": None}),
            "has no CUDA provider",
            "EXTRAS=gpu,dev",
            id="CPU wheel with GPU",
        ),
        pytest.param(
            changed(FULL_H100, onnxruntime_providers=("CPUExecutionProvider",)),
            "does not offer the CUDA provider",
            "force-reinstall",
            id="row 24, provider missing",
        ),
        pytest.param(
            machine(*H100, rtx=True, tensorrt=False),
            "falls back to CUDA or the CPU",
            "get_providers()",
            id="row 24, TensorRT provider",
        ),
        pytest.param(
            machine("GTX 1080", (6, 1), rtx=True), "GTX 1080 (Pascal, compute capability 6.1)", "cu126", id="Pascal"
        ),
        pytest.param(
            machine("GTX 1080", (6, 1), rtx=True), "needs compute capability 7.5", "8.6 is the last", id="row 5, Pascal"
        ),
        pytest.param(
            machine("RTX 5090", (12, 0), **dict.fromkeys(("tensorrt_cu13",), "10.4.0")),
            "does not know RTX 5090 yet",
            "tensorrt-cu13",
            id="row 5, too new",
        ),
        pytest.param(
            machine(*T4, rtx=True, tensorrt=False),
            "FP32 GEMM is not supported",
            "which auto prefers",
            id="row 5, T4, RTX",
        ),
        pytest.param(
            machine(*H100, rtx=True, tensorrt=False), "refuses compute capability 9.0", "EXTRAS=gpu,dev", id="9.0, RTX"
        ),
        pytest.param(
            changed(FULL_H100, packages={"tensorrt-cu13-libs": "10.15.1.1"}),
            "parts of tensorrt have different versions",
            "pip uninstall",
            id="row 4, parts",
        ),
        pytest.param(
            changed(FULL_H100, plans=(("build/a.trt-10.9.0.34.sm90.plan", "tensorrt", "10.9.0.34", "90"),)),
            "built by tensorrt 10.9.0.34",
            "build it again",
            id="row 4, version",
        ),
        pytest.param(
            changed(FULL_H100, plans=(("build/a.trt-10.16.1.11.sm75.plan", "tensorrt", "10.16.1.11", "75"),)),
            "built for compute capability 75",
            "build it again",
            id="row 4, GPU",
        ),
        pytest.param(
            changed(FULL_H100, packages={"tensorrt-cu12-libs": "10.16.1.11"}),
            "for CUDA 12 and for CUDA 13 are both installed",
            "keep the one",
            id="row 6, both",
        ),
        pytest.param(
            changed(FULL_H100, modules=tuple(set(FULL_H100.modules) - {"tensorrt_bindings"})),
            "No module named 'tensorrt_bindings'",
            "fresh environment",
            id="row 6, bindings",
        ),
        pytest.param(
            changed(FULL_H100, driver_cuda=(12, 4)), "CUDA initialization failure with error: 35", "R580", id="row 7"
        ),
        pytest.param(
            changed(FULL_H100, packages={"pycuda": None}, cuda_headers=False),
            "pycuda is not installed",
            "cuda.h",
            id="pycuda",
        ),
        pytest.param(
            changed(FULL_H100, packages={"pycuda": None, "cuda-bindings": None}),
            "nor is cuda-bindings",
            "or, without a toolkit, cuda-bindings",
            id="no way to CUDA",
        ),
        pytest.param(
            changed(FULL_H100, packages={"pycuda": "2020.1"}),
            "has no pycuda.autoprimaryctx",
            "pycuda",
            id="row 19, old",
        ),
        pytest.param(
            changed(FULL_H100, loaded=("torch", "pycuda.autoinit")),
            "both loaded in this process",
            "autoprimaryctx",
            id="row 19",
        ),
        pytest.param(
            changed(FULL_H100, packages={"torch": "2.13.0+cpu"}), "torch 2.13.0+cpu is a CPU build", "cu130", id="torch"
        ),
        pytest.param(
            changed(LAPTOP, gpu_problem="cuInit fails with 999"), "cuInit fails with 999", "driver", id="cuInit"
        ),
    ],
)
def test_each_misfit_is_named_with_its_remedy(env: Environment, what: str, remedy: str) -> None:
    found = [misfit for misfit in misfits(env) if what in misfit.what]
    assert len(found) == 1, misfits(env)
    assert remedy in found[0].remedy


def test_severe_misfits_come_first_and_mean_that_the_course_cannot_run() -> None:
    found = misfits(changed(LAPTOP, packages={"onnxruntime-gpu": "1.31.1", "torch": None}))
    assert [misfit.severe for misfit in found] == [True, False]


def test_cuda_versions_of_wheels() -> None:
    twelve = changed(machine(*T4, tensorrt=False), packages={"torch": "2.9.0+cu126", "cuda-bindings": "12.9.0"})
    assert not [m for m in misfits(changed(twelve, driver_cuda=(12, 4))) if "error: 35" in m.what]
    thirteen = changed(twelve, packages={"torch": "2.13.0", "nvidia-cuda-runtime": "13.0.1"}, driver_cuda=(12, 4))
    assert [m for m in misfits(thirteen) if "torch is built for CUDA 13" in m.what]


@pytest.mark.parametrize(
    ("capability", "name", "expected"),
    [
        ((7, 5), "Tesla T4", True),
        ((7, 5), "NVIDIA GeForce RTX 2080 Ti", True),
        ((7, 5), "NVIDIA GeForce GTX 1650", False),
        ((7, 5), "NVIDIA GeForce GTX 1660 Ti", False),
        ((7, 5), "Quadro T1000", False),
        ((7, 5), "NVIDIA T600 Laptop GPU", False),
        ((7, 5), "NVIDIA GeForce MX450", False),
        ((7, 0), "Tesla V100", True),
        ((6, 1), "GeForce GTX 1080", False),
        ((5, 2), "GTX 980", False),
        ((9, 0), "H100", True),
        ((12, 0), "RTX 5090", True),
    ],
)
def test_tensor_cores(capability: tuple[int, int], name: str, expected: bool) -> None:
    assert has_tensor_cores(capability, name) is expected


def test_plans_are_read_by_their_names(tmp_path: Path) -> None:
    names = ("fp16.trt-10.16.1.11.sm75.plan", "fp32.rtx-1.7.1.116.portable.plan", "unnamed.plan")
    for name in names:
        (tmp_path / "build" / "deep").mkdir(parents=True, exist_ok=True)
        (tmp_path / "build" / "deep" / name).write_bytes(b"x")
    assert list(environment._plans(tmp_path)) == [
        (f"build/deep/{names[0]}", "tensorrt", "10.16.1.11", "75"),
        (f"build/deep/{names[1]}", "tensorrt-rtx", "1.7.1.116", ""),
    ]


def test_a_broken_nvidia_smi_is_no_gpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "nvidia-smi"
    program.write_text("#!/bin/sh\nexit 9\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert environment._nvidia_smi("name") is None
    program.write_text("#!/bin/sh\necho Some GPU\n")
    assert environment._nvidia_smi("name") == "Some GPU"


def test_headers_are_found_where_the_toolkit_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "include").mkdir()
    (tmp_path / "include" / "cuda.h").write_text("")
    monkeypatch.setenv("CUDA_HOME", str(tmp_path))
    assert environment.cuda_headers()


def test_this_machine() -> None:
    env = environment.inspect()
    assert env.python == ".".join(map(str, sys.version_info[:3]))
    assert env.packages["torch"] and env.packages["onnx"]
    assert "CPUExecutionProvider" in env.onnxruntime_providers
    assert choose_backend(env).backend in environment.BACKENDS
    assert not [misfit for misfit in misfits(env) if misfit.severe]
    json.dumps(dataclasses.asdict(env))  # plain data: benchmarks keep it beside their results


def doctor(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    import os

    return subprocess.run(
        [sys.executable, "-m", "helpers", "doctor", *arguments],
        capture_output=True,
        text=True,
        encoding="utf-8",
        env={**os.environ, **variables},
        cwd=Path(__file__).parent.parent,
    )


def test_results_of_a_machine_have_a_folder_of_their_own() -> None:
    tesla = changed(LAPTOP, gpu=Gpu("Tesla T4", (7, 5), 15 << 30))
    assert environment.results_folder(tesla).as_posix().endswith("assets/results/tesla-t4")
    assert environment.results_folder(LAPTOP).name == "cpu-linux-x86-64"


def test_figures_are_written_with_what_they_were_measured_on() -> None:
    facts = environment.circumstances("make it")
    assert json.loads(json.dumps(facts)) == facts
    assert list(facts) == ["command", "machine", "python", "packages", "cores"]
    assert facts["command"] == "make it" and facts["packages"]["numpy"] and None not in facts["packages"].values()


def test_doctor_as_json_names_the_builder_and_the_backend() -> None:
    done = doctor("--json", TRT_BACKEND="auto")
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    env = environment.inspect()
    choice = choose_backend(env)
    assert report["backend"]["name"] == choice.backend
    assert report["packages"] == dict(env.packages)
    if choice.backend == "simulator":
        assert report["builder"] == {
            "name": "tensorrt_rtx",
            "version": env.rtx_version,
            "what": "NVIDIA's real builder, runs without a GPU",
        }


def test_doctor_as_a_table() -> None:
    done = doctor(TRT_BACKEND="simulator")
    assert done.returncode == 0, done.stderr
    assert "✓ backend" in done.stdout and "asked for by TRT_BACKEND=simulator" in done.stdout
    assert "NVIDIA's real builder" in done.stdout


def test_doctor_says_that_a_requested_backend_cannot_run() -> None:
    done = doctor(TRT_BACKEND="nonsense")
    assert done.returncode == 1
    assert "✗ backend" in done.stdout and "TRT_BACKEND is 'nonsense'" in done.stdout


@pytest.mark.parametrize("env", [FULL_H100, machine(*T4, rtx=True, tensorrt=False), changed(LAPTOP, packages=NOTHING)])
def test_the_table_of_other_machines(env: Environment) -> None:
    report = environment.report_of(env)
    text = environment._table(report)
    json.dumps(report)
    for misfit in misfits(env):
        assert misfit.what in text and misfit.remedy in text
    if env.gpu:
        assert env.gpu.name in text and f"up to CUDA {env.driver_cuda[0]}" in text
    else:
        assert "✗ backend" in text
