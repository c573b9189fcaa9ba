"""What this machine is and can do: versions, GPU and driver, what does not fit together, and which backend to take.

`inspect` looks at the machine and returns an `Environment`, plain data. `choose_backend` and `misfits` are pure
functions of it, so every rule can be tried on a machine that has none of the parts. The standard library is enough,
under Python 3.8 and newer: `python -m helpers doctor` also runs where nothing is installed. No package is imported but
ONNX Runtime, the only one that can say which providers it has.

Sources of the rules: NVIDIA's support matrices and CUDA's release notes for compute capabilities and drivers
(CUDA 13 needs a driver R580 and compute capability 7.5; TensorRT 10 dropped Pascal, 10.5 Volta, 10.8 brought
Blackwell); what TensorRT-RTX 1.7 itself prints for 7.5 and 9.0.
"""

from __future__ import annotations

import ctypes
import dataclasses
import importlib.metadata
import json
import os
import platform
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from importlib.machinery import PathFinder
from pathlib import Path
from typing import Any

from helpers import NEWEST_PYTHON, OLDEST_PYTHON

BACKENDS = ("tensorrt", "tensorrt_rtx", "simulator")

# Distributions whose versions matter, in the order in which they are shown.
PACKAGES = (
    "torch", "transformers", "datasets", "numpy", "onnx", "onnxscript", "onnxconverter-common",
    "onnxruntime", "onnxruntime-gpu",
    "tensorrt", "tensorrt-cu12", "tensorrt-cu12-bindings", "tensorrt-cu12-libs",
    "tensorrt-cu13", "tensorrt-cu13-bindings", "tensorrt-cu13-libs",
    "tensorrt-rtx", "tensorrt-rtx-cu13-bindings", "tensorrt-rtx-cu13-libs",
    "pycuda", "cuda-python", "cuda-bindings", "nvidia-cuda-runtime", "nvidia-cuda-runtime-cu12",
)  # fmt: skip
BASE_PACKAGES = ("torch", "transformers", "numpy", "onnx", "onnxscript", "onnxconverter-common")
MODULES = (
    "tensorrt", "tensorrt_bindings", "tensorrt_rtx", "tensorrt_rtx_bindings", "pycuda", "cuda.bindings", "onnxruntime",
)  # fmt: skip

# Compute capabilities of GPUs with tensor cores. A list, because "7.5 and up" is wrong: see `has_tensor_cores`.
TENSOR_CORES = frozenset(
    [(7, 0), (7, 2), (7, 5), (8, 0), (8, 6), (8, 7), (8, 9), (9, 0)]
    + [(10, 0), (10, 1), (10, 3), (11, 0), (12, 0), (12, 1)]
)
# Compute capability 7.5 without tensor cores: the TU116 and TU117 chips.
_NO_TENSOR_CORES = re.compile(r"GTX 16\d\d|MX ?[45]50|\bT(400|500|550|600|1000|1200|2000)\b", re.IGNORECASE)

STANDARD_CUDA_FOLDERS = ("/usr/local/cuda", "/usr")
_OLDEST_DRIVER = {13: 580, 12: 525}  # by CUDA major, on Linux
_SETUP = "make setup (without make: python -m helpers setup)"


class BackendUnavailable(RuntimeError):
    """The backend that was asked for cannot run here; the text says why and what to do."""


@dataclass(frozen=True)
class Gpu:
    """One NVIDIA GPU, the first that CUDA shows (CUDA_VISIBLE_DEVICES counts)."""

    name: str
    compute_capability: tuple[int, int]
    memory_bytes: int
    driver: str | None = None  # such as "580.95.05"
    tensor_cores: bool = False
    multiprocessors: int | None = None


@dataclass(frozen=True)
class Environment:
    """What was found on a machine. `packages` has None for what is not installed; `modules` are what can be found.

    `driver_cuda` is the newest CUDA that the driver serves; `gpu_problem` says why there is no `gpu` although there
    seems to be one; `loaded` names modules that this process has imported; `plans` are (file, "tensorrt" or
    "tensorrt-rtx", version, compute capability such as "75" or ""), by the names that `engine.plan_name` gives.
    """

    python: str
    platform: str
    packages: Mapping[str, str | None]
    onnxruntime_providers: tuple[str, ...] = ()
    gpu: Gpu | None = None
    driver_cuda: tuple[int, int] | None = None
    gpu_problem: str | None = None
    modules: tuple[str, ...] = ()
    loaded: tuple[str, ...] = ()
    onnxruntime_problem: str | None = None
    cuda_headers: bool = False
    trtexec: str | None = None
    plans: tuple[tuple[str, str, str, str], ...] = ()

    @property
    def tensorrt_version(self) -> str | None:
        """Version of TensorRT (not RTX), by whichever of its packages is installed."""
        return self._first("tensorrt", "tensorrt-cu13", "tensorrt-cu12", "tensorrt-cu13-bindings",
                           "tensorrt-cu12-bindings")  # fmt: skip

    @property
    def rtx_version(self) -> str | None:
        """Version of TensorRT-RTX."""
        return self._first("tensorrt-rtx", "tensorrt-rtx-cu13-bindings")

    @property
    def onnxruntime_version(self) -> str | None:
        """Version of ONNX Runtime, of its GPU build where that is installed."""
        return self._first("onnxruntime-gpu", "onnxruntime")

    def _first(self, *names: str) -> str | None:
        return next((found for found in map(self.packages.get, names) if found), None)


@dataclass(frozen=True)
class Misfit:
    """Something that does not fit: what it is, and what to do. `severe` means that the course cannot run with it."""

    what: str
    remedy: str
    severe: bool = False


@dataclass(frozen=True)
class Choice:
    """The backend to take, why, NVIDIA's builder behind it, and what runs the plan.

    `provider` is ONNX Runtime's execution provider for the simulator, None where TensorRT itself runs the plan.
    """

    backend: str
    reason: str
    builder: str
    engine: str
    provider: str | None = field(default=None)


def has_tensor_cores(compute_capability: tuple[int, int], name: str = "") -> bool:
    """Whether a GPU has tensor cores; `name` tells apart the GTX 16 series, which is 7.5 like a T4 and has none."""
    if tuple(compute_capability) == (7, 5) and _NO_TENSOR_CORES.search(name):
        return False
    return tuple(compute_capability) in TENSOR_CORES


# --- the choice ---


def choose_backend(env: Environment, requested: str = "auto") -> Choice:
    """The backend for `env`: the one `requested`, or with "auto" the best that can run.

    Raises ValueError for a name that is no backend, and BackendUnavailable, with the reason and the remedy, when the
    requested backend, or none at all, can run.
    """
    if requested not in ("auto", *BACKENDS):
        raise ValueError(
            f"TRT_BACKEND is {requested!r}, expected one of auto, {', '.join(BACKENDS)}; leave it unset for auto"
        )
    refusals = {
        "tensorrt": _tensorrt_refusal(env),
        "tensorrt_rtx": _rtx_refusal(env),
        "simulator": _simulator_refusal(env),
    }
    if requested != "auto":
        refusal = refusals[requested]
        if refusal:
            raise BackendUnavailable(
                f"TRT_BACKEND={requested} cannot run here: {refusal}. "
                "Leave TRT_BACKEND unset to take what can run; `python -m helpers doctor` lists what fits"
            )
        return _choice(env, requested, f"asked for by TRT_BACKEND={requested}")
    for backend in BACKENDS:
        if refusals[backend] is None:
            return _choice(env, backend, _why(env, backend, refusals))
    raise BackendUnavailable(
        "no backend can run here: " + "; ".join(f"{name}: {refusals[name]}" for name in BACKENDS) + f". Run {_SETUP}"
    )


_OWN_BUILDER = "the simulator's own builder, in Python"


def _choice(env: Environment, backend: str, reason: str) -> Choice:
    rtx = _OWN_BUILDER
    if _has_rtx(env):
        rtx = f"tensorrt_rtx {env.rtx_version}, NVIDIA's real builder, runs without a GPU"
    if backend == "tensorrt":
        return Choice(backend, reason, f"tensorrt {env.tensorrt_version}, NVIDIA's real builder", "NVIDIA's runtime")
    if backend == "tensorrt_rtx":
        return Choice(backend, reason, rtx, "NVIDIA's runtime")
    on_gpu = env.gpu is not None and "CUDAExecutionProvider" in env.onnxruntime_providers
    provider = "CUDAExecutionProvider" if on_gpu else "CPUExecutionProvider"
    where = f"its CUDA provider on {env.gpu.name}" if on_gpu and env.gpu else "on the CPU"
    return Choice(backend, reason, rtx, f"ONNX Runtime {env.onnxruntime_version}, {where}", provider)


def _why(env: Environment, backend: str, refusals: Mapping[str, str | None]) -> str:
    if env.gpu is None:
        return env.gpu_problem or "there is no NVIDIA GPU"
    gpu = f"{env.gpu.name} (compute capability {_dotted(env.gpu.compute_capability)})"
    if backend == "tensorrt":
        return f"{gpu} with tensorrt {env.tensorrt_version}"
    reasons = f"no tensorrt: {refusals['tensorrt']}"
    if backend == "tensorrt_rtx":
        return f"{gpu} with tensorrt_rtx {env.rtx_version}; {reasons}"
    return f"{gpu}, but {reasons}; no tensorrt_rtx: {refusals['tensorrt_rtx']}"


def _tensorrt_refusal(env: Environment) -> str | None:
    """Why TensorRT cannot run here, or None."""
    if env.gpu is None:
        return "it needs an NVIDIA GPU" + (f" ({env.gpu_problem})" if env.gpu_problem else "")
    if "tensorrt" not in env.modules or env.tensorrt_version is None:
        return "the package tensorrt is not installed (make setup EXTRAS=gpu,dev)"
    if _bindings_missing(env):
        return "its bindings are missing (No module named 'tensorrt_bindings')"
    return _tensorrt_gpu_refusal(env) or _driver_refusal(env, _cuda_majors(env).get("tensorrt"))


def _tensorrt_gpu_refusal(env: Environment) -> str | None:
    assert env.gpu is not None and env.tensorrt_version is not None
    version, capability = _numbers(env.tensorrt_version), env.gpu.compute_capability
    if version < (10,):
        return f"tensorrt {env.tensorrt_version} is older than 10, whose API the course uses"
    oldest = (7, 5) if version >= (10, 5) or _cuda_majors(env).get("tensorrt") == 13 else (7, 0)
    if capability < oldest:
        return (
            f"tensorrt {env.tensorrt_version} needs compute capability {_dotted(oldest)} or newer, "
            f"and {env.gpu.name} has {_dotted(capability)}"
        )
    if capability >= (10, 0) and version < (10, 8):
        return f"tensorrt {env.tensorrt_version} does not know {env.gpu.name} yet; 10.8 does"
    return None


def _rtx_refusal(env: Environment) -> str | None:
    """Why TensorRT-RTX's runtime cannot run here, or None. Its builder needs no GPU."""
    if env.gpu is None:
        return "its runtime needs an NVIDIA GPU" + (f" ({env.gpu_problem})" if env.gpu_problem else "")
    if not _has_rtx(env):
        return "the package tensorrt-rtx is not installed (make setup EXTRAS=gpu,rtx,dev)"
    capability = env.gpu.compute_capability
    if capability not in ((7, 5), (8, 0), (8, 6), (8, 9)) and capability < (12, 0):
        return f"its runtime refuses compute capability {_dotted(capability)}"
    return _driver_refusal(env, _cuda_majors(env).get("tensorrt-rtx"))


def _simulator_refusal(env: Environment) -> str | None:
    if env.onnxruntime_version is None or "onnxruntime" not in env.modules:
        return "it runs plans by ONNX Runtime, which is not installed"
    if env.onnxruntime_problem:
        return f"it runs plans by ONNX Runtime, which cannot be imported: {env.onnxruntime_problem}"
    return None


def _driver_refusal(env: Environment, cuda_major: int | None) -> str | None:
    if cuda_major is None or env.driver_cuda is None or env.driver_cuda[0] >= cuda_major:
        return None
    return (
        f"it is built for CUDA {cuda_major}, and the driver {(env.gpu and env.gpu.driver) or ''} serves up to CUDA "
        f"{_dotted(env.driver_cuda)} (CUDA initialization failure with error: 35)"
    )


def _has_rtx(env: Environment) -> bool:
    return env.rtx_version is not None and {"tensorrt_rtx", "tensorrt_rtx_bindings"} <= set(env.modules)


def _bindings_missing(env: Environment) -> bool:
    # The Debian package keeps its binding inside `tensorrt` and has no bindings distribution: only wheels can miss it.
    return env.tensorrt_version is not None and "tensorrt" in env.modules and "tensorrt_bindings" not in env.modules


def _cuda_majors(env: Environment) -> dict[str, int]:
    """CUDA major that each installed GPU package is built for, as far as its distributions tell."""
    have = {name for name, version in env.packages.items() if version}
    majors: dict[str, int] = {}
    for package, parts in (
        ("tensorrt", {13: ("tensorrt-cu13", "tensorrt-cu13-libs"), 12: ("tensorrt-cu12", "tensorrt-cu12-libs")}),
        ("torch", {13: ("nvidia-cuda-runtime",), 12: ("nvidia-cuda-runtime-cu12",)}),
        ("tensorrt-rtx", {13: ("tensorrt-rtx-cu13-libs",)}),
    ):
        for major, names in parts.items():
            if have.intersection(names):
                majors.setdefault(package, major)
    local = re.search(r"\+cu(1\d)\d", env.packages.get("torch") or "")
    if local:
        majors["torch"] = int(local.group(1))
    bindings = env.packages.get("cuda-bindings") or env.packages.get("cuda-python")
    if bindings:
        majors["cuda-bindings"] = _numbers(bindings)[0]
    return majors


# --- what does not fit ---


def misfits(env: Environment) -> list[Misfit]:
    """Everything in `env` that does not fit together, severe ones first."""
    found = [misfit for check in _CHECKS for misfit in check(env)]
    return sorted(found, key=lambda misfit: not misfit.severe)


def _check_python(env: Environment) -> Iterator[Misfit]:
    if not OLDEST_PYTHON <= _numbers(env.python)[:2] <= NEWEST_PYTHON:
        span = f"{_dotted(OLDEST_PYTHON)} to {_dotted(NEWEST_PYTHON)}"
        yield Misfit(
            f"Python {env.python} is outside the course's range, {span}",
            f"install a Python in the range and name it: make setup PYTHON=python{_dotted(OLDEST_PYTHON)}",
            severe=True,
        )


def _check_base(env: Environment) -> Iterator[Misfit]:
    missing = [name for name in BASE_PACKAGES if not env.packages.get(name)]
    if missing:
        yield Misfit(f"not installed: {', '.join(missing)}", f"run {_SETUP}", severe=True)
    if not env.onnxruntime_version:
        yield Misfit("no ONNX Runtime is installed", f"run {_SETUP}", severe=True)
    elif env.onnxruntime_problem:
        yield Misfit(
            f"ONNX Runtime cannot be imported: {env.onnxruntime_problem}",
            "uninstall onnxruntime and onnxruntime-gpu, then set up again; on Windows install the Visual C++ runtime",
            severe=True,
        )
    tensorrt = env.gpu is not None and _tensorrt_refusal(env) is None
    if not (_has_rtx(env) or tensorrt or env.platform.startswith("Darwin")):  # macOS has no wheel of it
        yield Misfit(
            "tensorrt-rtx is not installed: the simulator's own builder (Python) stands in for NVIDIA's",
            "pip install -c constraints.txt tensorrt-rtx",
        )


def _check_onnxruntime(env: Environment) -> Iterator[Misfit]:
    """Row 24: a provider that is missing or does not load lets ONNX Runtime run on the CPU in silence."""
    cpu, gpu = env.packages.get("onnxruntime"), env.packages.get("onnxruntime-gpu")
    if cpu and gpu:
        keep = "onnxruntime-gpu" if env.gpu else "onnxruntime"
        yield Misfit(
            f"onnxruntime {cpu} and onnxruntime-gpu {gpu} are both installed and write to the same folder: "
            "which one runs is chance",
            f"pip uninstall -y onnxruntime onnxruntime-gpu, then pip install -c constraints.txt {keep}",
        )
    elif gpu and env.gpu is None:
        yield Misfit(
            f"onnxruntime-gpu {gpu} on a machine without a usable NVIDIA GPU: it runs on the CPU",
            "nothing to do, or pip uninstall onnxruntime-gpu and set up again",
        )
    elif cpu and env.gpu is not None:
        yield Misfit(
            f"onnxruntime {cpu} has no CUDA provider: ONNX Runtime leaves {env.gpu.name} idle",
            "pip uninstall -y onnxruntime, then make setup EXTRAS=gpu,dev",
        )
    if gpu and not cpu and env.gpu is not None:
        if not env.onnxruntime_problem and "CUDAExecutionProvider" not in env.onnxruntime_providers:
            yield Misfit(
                f"onnxruntime-gpu {gpu} does not offer the CUDA provider, only {_listed(env.onnxruntime_providers)}",
                "pip install --force-reinstall --no-deps -c constraints.txt onnxruntime-gpu, and compare CUDA versions",
            )
        if "TensorrtExecutionProvider" in env.onnxruntime_providers and _tensorrt_refusal(env):
            yield Misfit(
                "ONNX Runtime lists its TensorRT provider, but TensorRT cannot run here: "
                "a session that asks for it falls back to CUDA or the CPU with a warning only",
                "ask for CUDAExecutionProvider, and assert session.get_providers() after creating a session",
            )


def _check_gpu(env: Environment) -> Iterator[Misfit]:
    """Row 5, first half: the driver, and cards that are too old."""
    if env.gpu_problem:
        yield Misfit(env.gpu_problem, "update or reinstall the NVIDIA driver, or pass the GPU into the container")
    if env.gpu is None:
        return
    capability = env.gpu.compute_capability
    thirteen = [name for name, major in _cuda_majors(env).items() if major == 13 and name != "cuda-bindings"]
    if capability < (7, 5) and thirteen:
        family = {5: "Maxwell", 6: "Pascal"}.get(capability[0], "Volta")
        yield Misfit(
            f"{env.gpu.name} ({family}, compute capability {_dotted(capability)}) is too old for CUDA 13, which "
            f"{_listed(thirteen)} is built for: 'no kernel image is available'",
            "a CUDA 12.6 build of torch (TORCH_INDEX=https://download.pytorch.org/whl/cu126), or EXTRAS=cpu,rtx,dev",
        )
    torch = env.packages.get("torch") or ""
    if "+cpu" in torch or (torch and env.platform.startswith("Windows") and "+" not in torch):
        yield Misfit(
            f"torch {torch} is a CPU build: the PyTorch baseline does not use {env.gpu.name}",
            "make setup TORCH_INDEX=https://download.pytorch.org/whl/cu130 (cu126 for an older driver or card), "
            "after pip uninstall torch",
        )


def _check_tensorrt_gpu(env: Environment) -> Iterator[Misfit]:
    """Row 5, second half: what TensorRT and TensorRT-RTX do on this card."""
    if env.gpu is None:
        return
    name, capability = env.gpu.name, env.gpu.compute_capability
    if env.tensorrt_version and (refusal := _tensorrt_gpu_refusal(env)):
        if capability < (7, 5):
            remedy = "8.6 is the last TensorRT for Pascal, 10.4 for Volta; the course's simulator runs on any machine"
        else:
            remedy = "pip install -c constraints.txt tensorrt-cu13"
        yield Misfit(refusal, remedy)
    if not _has_rtx(env) or _tensorrt_refusal(env) is None:
        return  # TensorRT-RTX is at most the builder here
    if capability == (7, 5):
        yield Misfit(
            f"TensorRT-RTX on {name} (7.5) is for FP16: an FP32 build fails ('FP32 GEMM is not supported'), and with "
            "dynamic shapes FP32 was reported to give zeros",
            "install TensorRT itself, which auto prefers: make setup EXTRAS=gpu,dev; until then skip the FP32 rows and "
            "compare one batch with PyTorch",
        )
    elif _rtx_refusal(env) and "refuses" in (_rtx_refusal(env) or ""):
        yield Misfit(
            f"TensorRT-RTX builds on this machine and does not run on {name}: its runtime refuses compute capability "
            f"{_dotted(capability)} (8.0, 8.6, 8.9 and 12.0 or newer are served)",
            "install TensorRT itself, where the card is new enough: make setup EXTRAS=gpu,dev; until then the "
            "simulator runs by ONNX Runtime",
        )


def _check_tensorrt_parts(env: Environment) -> Iterator[Misfit]:
    """Rows 4 and 6: parts of different versions, parts that are missing, plans of another machine."""
    for flavour, parts in (
        ("tensorrt", [p for p in PACKAGES if p.startswith("tensorrt") and "rtx" not in p]),
        ("tensorrt-rtx", [p for p in PACKAGES if p.startswith("tensorrt-rtx")]),
    ):
        versions = {part: env.packages[part] for part in parts if env.packages.get(part)}
        if len(set(versions.values())) > 1:
            yield Misfit(
                f"parts of {flavour} have different versions: "
                + ", ".join(f"{part} {version}" for part, version in versions.items())
                + " ('Version tag does not match')",
                f"pip uninstall -y {' '.join(versions)}, then set up again",
            )
    if env.packages.get("tensorrt-cu12-libs") and env.packages.get("tensorrt-cu13-libs"):
        yield Misfit(
            "TensorRT for CUDA 12 and for CUDA 13 are both installed, and both fill the module tensorrt",
            "keep the one that fits the driver: pip uninstall -y tensorrt-cu12{,-bindings,-libs} (or -cu13)",
        )
    if _bindings_missing(env):
        yield Misfit(
            "tensorrt is installed without its bindings (No module named 'tensorrt_bindings')",
            "a fresh environment, then pip install -c constraints.txt tensorrt-cu13: the package 'tensorrt' alone is a "
            "frame that fetches the rest from NVIDIA's index",
        )
    for plan, flavour, version, capability in env.plans:
        installed = env.tensorrt_version if flavour == "tensorrt" else env.rtx_version
        here = "".join(map(str, env.gpu.compute_capability)) if env.gpu else ""
        if version != installed:
            problem = f"it was built by {flavour} {version}, and here is {installed} ('Version tag does not match')"
        elif flavour == "tensorrt" and capability and here and capability != here:
            problem = (
                f"it was built for compute capability {capability}, and this GPU has {here} ('incompatible device')"
            )
        else:
            continue
        yield Misfit(f"the plan {plan} does not load here: {problem}", "build it again on this machine")


def _check_driver(env: Environment) -> Iterator[Misfit]:
    """Row 7: a driver older than the CUDA of a wheel."""
    if env.driver_cuda is None:
        return
    too_new = {name: major for name, major in _cuda_majors(env).items() if major > env.driver_cuda[0]}
    if "tensorrt" not in too_new and _tensorrt_refusal(env) is None:
        too_new.pop("tensorrt-rtx", None)  # its builder runs without a driver
    if too_new:
        major = max(too_new.values())
        driver = (env.gpu and env.gpu.driver) or "installed"
        yield Misfit(
            f"the driver ({driver}) serves up to CUDA {_dotted(env.driver_cuda)}, and {_listed(sorted(too_new))} is "
            f"built for CUDA {major}: CUDA initialization failure with error: 35",
            f"a driver R{_OLDEST_DRIVER.get(major, 580)} or newer, or CUDA {env.driver_cuda[0]} builds of all of them "
            f"(tensorrt-cu{env.driver_cuda[0]}, torch from TORCH_INDEX=https://download.pytorch.org/whl/cu126)",
        )


def _check_cuda_python(env: Environment) -> Iterator[Misfit]:
    """Rows 7 and 19: the ways from Python to CUDA."""
    if env.gpu is None:
        return
    pycuda, bindings = env.packages.get("pycuda"), env.packages.get("cuda-bindings")
    if not pycuda:
        toolkit = "" if env.cuda_headers else " (it is compiled, and needs cuda.h: install the CUDA toolkit first)"
        yield Misfit(
            "pycuda is not installed: "
            + ("the course's own, over cuda-bindings, stands in for it" if bindings else "nor is cuda-bindings, so ")
            + ("" if bindings else f"notebooks cannot reach {env.gpu.name}"),
            f"pip install -c constraints.txt pycuda{toolkit}"
            + ("" if bindings else "; or, without a toolkit, cuda-bindings"),
        )
    elif _numbers(pycuda) < (2021, 1):
        yield Misfit(
            f"pycuda {pycuda} has no pycuda.autoprimaryctx, and pycuda.autoinit makes a context that PyTorch does not "
            "share ('invalid resource handle')",
            "pip install -c constraints.txt pycuda",
        )
    if pycuda and {"pycuda.autoinit", "torch"} <= set(env.loaded):
        yield Misfit(
            "pycuda.autoinit and PyTorch are both loaded in this process: pycuda's own context is current, and PyTorch "
            "uses the primary one ('invalid device context', 'invalid resource handle')",
            "restart the kernel and import pycuda.autoprimaryctx in place of pycuda.autoinit",
        )


_CHECKS: tuple[Callable[[Environment], Iterator[Misfit]], ...] = (
    _check_python,
    _check_base,
    _check_onnxruntime,
    _check_gpu,
    _check_tensorrt_gpu,
    _check_tensorrt_parts,
    _check_driver,
    _check_cuda_python,
)


# --- looking at the machine ---


def inspect() -> Environment:
    """Look at this machine. Takes a fraction of a second; creates no CUDA context; raises nothing."""
    gpu, driver_cuda, problem = _inspect_gpu()
    providers, onnxruntime_problem = _inspect_onnxruntime()
    return Environment(
        python=platform.python_version(),
        platform=f"{platform.system()} {platform.machine()}",
        packages={name: _version(name) for name in PACKAGES},
        onnxruntime_providers=providers,
        gpu=gpu,
        driver_cuda=driver_cuda,
        gpu_problem=problem,
        modules=tuple(name for name in MODULES if _findable(name)),
        loaded=tuple(name for name in ("torch", "pycuda.autoinit", "pycuda.autoprimaryctx") if name in sys.modules),
        onnxruntime_problem=onnxruntime_problem,
        cuda_headers=cuda_headers(),
        trtexec=shutil.which("trtexec"),
        plans=tuple(_plans(Path(__file__).resolve().parent.parent)),
    )


def results_folder(env: Environment) -> Path:
    """Where results of a machine are kept: `assets/results/` and its GPU's name, or `cpu` and its architecture."""
    name = env.gpu.name if env.gpu else f"cpu {env.platform}"
    folder = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")
    return Path(__file__).resolve().parent.parent / "assets" / "results" / folder


def circumstances(command: str) -> dict[str, Any]:
    """What figures are written with: the command that makes them, machine, Python, packages, cores; plain JSON."""
    env = inspect()
    return {
        "command": command,
        "machine": results_folder(env).name,
        "python": env.python,
        "packages": {name: version for name, version in env.packages.items() if version},
        "cores": os.cpu_count(),
    }


def cuda_headers() -> bool:
    """Whether the CUDA toolkit's headers are where pycuda's compilation looks for them."""
    roots = [
        os.environ[name] for name in ("CUDA_ROOT", "CUDA_HOME", "CUDA_PATH", "CONDA_PREFIX") if os.environ.get(name)
    ]
    compiler = shutil.which("nvcc")
    if compiler:
        roots.append(str(Path(compiler).resolve().parent.parent))
    return any((Path(root) / "include" / "cuda.h").is_file() for root in (*roots, *STANDARD_CUDA_FOLDERS))


def _version(distribution: str) -> str | None:
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return None


def _findable(module: str) -> bool:
    # Not importlib.util.find_spec: that asks sys.modules first, where the simulator may stand as `tensorrt`.
    path: Any = None
    for part in module.split("."):
        spec = PathFinder.find_spec(part, path)
        if spec is None:
            return False
        path = spec.submodule_search_locations
    return True


def _inspect_onnxruntime() -> tuple[tuple[str, ...], str | None]:
    if not _findable("onnxruntime"):
        return (), None
    try:
        import onnxruntime

        return tuple(onnxruntime.get_available_providers()), None
    except Exception as error:  # whatever a broken binary raises, it is the finding
        return (), f"{type(error).__name__}: {error}"


def _plans(root: Path) -> Iterator[tuple[str, str, str, str]]:
    for path in sorted((root / "build").rglob("*.plan")):
        found = re.search(r"\.(trt|rtx)-(\d+(?:\.\d+)+)\.(?:sm(\d+))?", path.name)
        if found:
            flavour = "tensorrt" if found.group(1) == "trt" else "tensorrt-rtx"
            yield path.relative_to(root).as_posix(), flavour, found.group(2), found.group(3) or ""


_CUDA_ERRORS = {
    35: "the driver is older than this CUDA",
    100: "no device",
    802: "the system is not ready",
    803: "driver and library do not match: restart after a driver update",
    804: "forward compatibility was tried on a GPU that does not support it",
    999: "unknown error: restart, or reload the nvidia_uvm module",
}


def _inspect_gpu() -> tuple[Gpu | None, tuple[int, int] | None, str | None]:
    """The first GPU that CUDA shows, the newest CUDA that the driver serves, and why a GPU cannot be used."""
    name = "nvcuda.dll" if os.name == "nt" else "libcuda.so.1"
    try:
        cuda = ctypes.CDLL(name)
    except OSError:
        seen = _nvidia_smi("name")
        return None, None, f"nvidia-smi shows {seen}, but {name} cannot be loaded" if seen else None
    return _query_cuda(cuda)


def _query_cuda(cuda: Any) -> tuple[Gpu | None, tuple[int, int] | None, str | None]:  # pragma: no cover - needs a GPU
    number = ctypes.c_int()
    driver_cuda = None
    if cuda.cuDriverGetVersion(ctypes.byref(number)) == 0 and number.value:
        driver_cuda = (number.value // 1000, number.value % 1000 // 10)
    code = cuda.cuInit(0)
    if code != 0:
        if code == 100:  # a driver, and no GPU or none visible: as good as no GPU
            return None, driver_cuda, None
        return (
            None,
            driver_cuda,
            f"an NVIDIA driver is there, but cuInit fails with {code} ({_CUDA_ERRORS.get(code, '?')})",
        )
    device = ctypes.c_int()
    if cuda.cuDeviceGetCount(ctypes.byref(number)) or not number.value or cuda.cuDeviceGet(ctypes.byref(device), 0):
        return None, driver_cuda, None
    title = ctypes.create_string_buffer(256)
    cuda.cuDeviceGetName(title, 256, device)
    memory = ctypes.c_size_t()
    cuda.cuDeviceTotalMem_v2(ctypes.byref(memory), device)
    values = []
    for attribute in (75, 76, 16):  # CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR, _MINOR, _MULTIPROCESSOR_COUNT
        cuda.cuDeviceGetAttribute(ctypes.byref(number), attribute, device)
        values.append(number.value)
    name, capability = title.value.decode(errors="replace"), (values[0], values[1])
    return (
        Gpu(name, capability, memory.value, _driver_version(), has_tensor_cores(capability, name), values[2]),
        driver_cuda,
        None,
    )


def _driver_version() -> str | None:  # pragma: no cover - needs a GPU
    try:
        text = Path("/proc/driver/nvidia/version").read_text()
    except OSError:
        return _nvidia_smi("driver_version")
    found = re.search(r"\b(\d{3}\.\d+(?:\.\d+)?)\b", text)
    return found.group(1) if found else _nvidia_smi("driver_version")


def _nvidia_smi(query: str) -> str | None:
    program = shutil.which("nvidia-smi")
    if program is None:
        return None
    try:
        command = [program, f"--query-gpu={query}", "--format=csv,noheader"]
        answer = subprocess.run(command, capture_output=True, text=True, timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return answer.stdout.strip().split("\n")[0] or None if answer.returncode == 0 else None


# --- the command ---


def main(as_json: bool = False) -> int:
    """`python -m helpers doctor`: print the table, or JSON. Returns 1 only when the course cannot run here."""
    report = report_of(inspect(), os.environ.get("TRT_BACKEND") or "auto")
    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(encoding="utf-8", errors="replace")
    print(json.dumps(report, indent=2) if as_json else _table(report))
    return 1 if report["backend"]["name"] is None or any(m["severe"] for m in report["misfits"]) else 0


def report_of(env: Environment, requested: str = "auto") -> dict[str, Any]:
    """All of `env`, the backend chosen, NVIDIA's builder and the misfits, as JSON has it."""
    try:
        choice = choose_backend(env, requested)
        backend = {
            "name": choice.backend,
            "reason": choice.reason,
            "engine": choice.engine,
            "provider": choice.provider,
        }
    except (ValueError, BackendUnavailable) as error:
        choice = None
        backend = {"name": None, "reason": str(error), "engine": None, "provider": None}
    report = dataclasses.asdict(env)
    report.update(requested_backend=requested, backend=backend)
    report["builder"] = None
    if choice is not None:
        name, version, what = "tensorrt", env.tensorrt_version, "NVIDIA's real builder"
        if choice.backend != "tensorrt":
            name, version, what = "tensorrt_rtx", env.rtx_version, "NVIDIA's real builder, runs without a GPU"
            if not _has_rtx(env):
                name, version, what = "simulator", None, _OWN_BUILDER
        report["builder"] = {"name": name, "version": version, "what": what}
    report["misfits"] = [dataclasses.asdict(misfit) for misfit in misfits(env)]
    return report


def _table(report: dict[str, Any]) -> str:
    packages, gpu = report["packages"], report["gpu"]

    def one_of(*names: str) -> str | None:
        return ", ".join(f"{name} {packages[name]}" for name in names if packages.get(name)) or None

    rows: list[tuple[str, str | None]] = [
        ("Python", f"{report['python']} on {report['platform']}"),
        *((name, packages[name]) for name in ("torch", "transformers", "onnx")),
        ("ONNX Runtime", one_of("onnxruntime", "onnxruntime-gpu")),
        ("  providers", ", ".join(p.replace("ExecutionProvider", "") for p in report["onnxruntime_providers"]) or None),
        ("TensorRT", one_of("tensorrt", "tensorrt-cu13", "tensorrt-cu12")),
        ("TensorRT-RTX", packages["tensorrt-rtx"]),
        ("pycuda", packages["pycuda"]),
        ("cuda-python", one_of("cuda-bindings", "cuda-python")),
        ("trtexec", report["trtexec"]),
        ("GPU", gpu and gpu["name"]),
    ]
    absent = {
        "TensorRT": "not installed; needs a GPU",
        "pycuda": "not installed; the simulator stands in for it",
        "cuda-python": "not installed; needs a GPU",
        "trtexec": "not on PATH; no wheel holds it, and the course does not need it",
        "GPU": report["gpu_problem"] or "no NVIDIA GPU; the simulator runs the plans",
    }
    if gpu:
        absent = {"trtexec": absent["trtexec"]}
        rows += [
            ("  compute capability", _dotted(gpu["compute_capability"])),
            ("  tensor cores", "yes" if gpu["tensor_cores"] else "none"),
            ("  memory", f"{gpu['memory_bytes'] / 2**30:.1f} GiB, {gpu['multiprocessors']} multiprocessors"),
            ("  driver", f"{gpu['driver'] or 'unknown'}, up to CUDA {_dotted(report['driver_cuda'] or ('?',))}"),
        ]
    lines = []
    for name, value in rows:
        mark = "✓" if value else "·" if name in absent else "!"
        lines.append(f" {mark} {name:<21} {value or absent.get(name, 'not installed')}")
    backend, builder = report["backend"], report["builder"]
    lines.append("")
    if backend["name"]:
        lines.append(f" ✓ {'backend':<21} {backend['name']}: {backend['reason']}")
        lines.append(f"   {'  builds':<21} {builder['name']} {builder['version'] or ''}: {builder['what']}")
        lines.append(f"   {'  runs':<21} {backend['engine']}")
    else:
        lines.append(f" ✗ {'backend':<21} none: {backend['reason']}")
    if not report["misfits"]:
        lines += ["", " ✓ everything fits together"]
    for misfit in report["misfits"]:
        lines += ["", f" {'✗' if misfit['severe'] else '!'} {misfit['what']}", f"   remedy: {misfit['remedy']}"]
    return "\n".join(lines)


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", version.split("+")[0])[:3])


def _dotted(numbers: Any) -> str:
    return ".".join(str(number) for number in numbers)


def _listed(names: Any) -> str:
    return " and ".join(names) if names else "none"
