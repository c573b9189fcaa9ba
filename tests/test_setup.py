"""Set-up with real Pythons, real virtual environments and real pip, on a small project and an index on disk.

The project's wheels are a few bytes each and stand in a folder that pip is told to use as its index, so nothing is
downloaded. What is tested is what our code does with them.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import pytest

from helpers import setup
from helpers.environment import Environment, Gpu

ROOT = Path(__file__).parent.parent
linux = pytest.mark.skipif(
    not sys.platform.startswith("linux"), reason="PyTorch's default wheels are CUDA builds on Linux"
)

PYPROJECT = """
[build-system]
requires = []
build-backend = "backend"
backend-path = ["."]

[project]
name = "tensorrt-course"
version = "0.1.0"
dependencies = ["torch"]

[project.optional-dependencies]
cpu = ["onnxruntime"]
rtx = []
gpu = ["onnxruntime-gpu"]
grade = []
dev = []
"""

SET_UP = "import sys, pathlib; from helpers import setup; sys.exit(setup.main(root=pathlib.Path(sys.argv[1])))"

# The smallest build backend that can install a project for editing. It waits while the file `wait` is there.
BACKEND = """
import pathlib, time, zipfile

def build_editable(wheel_directory, config_settings=None, metadata_directory=None):
    while pathlib.Path("wait").exists():
        pathlib.Path("waiting").touch()
        time.sleep(0.05)
    name = "tensorrt_course-0.1.0-py3-none-any.whl"
    metadata = "Metadata-Version: 2.1\\nName: tensorrt-course\\nVersion: 0.1.0\\nRequires-Dist: torch\\n"
    for extra, package in (("cpu", "onnxruntime"), ("rtx", ""), ("gpu", "onnxruntime-gpu"), ("grade", ""), ("dev", "")):
        metadata += "Provides-Extra: %s\\n" % extra
        metadata += "Requires-Dist: %s; extra == '%s'\\n" % (package, extra) if package else ""
    with zipfile.ZipFile(pathlib.Path(wheel_directory, name), "w") as wheel:
        wheel.writestr("tensorrt_course-0.1.0.dist-info/METADATA", metadata)
        tags = "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n"
        wheel.writestr("tensorrt_course-0.1.0.dist-info/WHEEL", tags)
        wheel.writestr("tensorrt_course-0.1.0.dist-info/RECORD", "")
    return name
"""


def add_wheel(index: Path, name: str, version: str, *, requires: str = "", module: str | None = None) -> None:
    """A wheel with one empty module, in a folder laid out as a package index."""
    module = module or name.replace("-", "_")
    folder = index / name
    folder.mkdir(parents=True, exist_ok=True)
    info = f"{name.replace('-', '_')}-{version}.dist-info"
    with zipfile.ZipFile(folder / f"{name.replace('-', '_')}-{version}-py3-none-any.whl", "w") as wheel:
        wheel.writestr(f"{module}/__init__.py", f"__version__ = {version!r}\n")
        requirement = f"Requires-Dist: {requires}\n" if requires else ""
        wheel.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{requirement}")
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(
            f"{info}/RECORD", f"{module}/__init__.py,,\n{info}/METADATA,,\n{info}/WHEEL,,\n{info}/RECORD,,\n"
        )
    links = "".join(f'<a href="{path.name}">{path.name}</a>\n' for path in sorted(folder.glob("*.whl")))
    (folder / "index.html").write_text(f"<!DOCTYPE html><html><body>{links}</body></html>")


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project whose torch is a CPU build, on a machine without a visible GPU."""
    root = tmp_path / "a project"  # a space, as many home folders have one
    (root / "tests").mkdir(parents=True)
    (root / "pyproject.toml").write_text(PYPROJECT)
    (root / "backend.py").write_text(BACKEND)
    (root / "constraints.txt").write_text("torch==2.13.0\n")
    add_wheel(tmp_path / "index", "torch", "2.13.0")
    add_wheel(tmp_path / "index", "onnxruntime", "1.31.1")
    add_wheel(tmp_path / "index", "onnxruntime-gpu", "1.31.1", module="onnxruntime")
    for name in [name for name in os.environ if name.startswith("PIP_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_INDEX_URL", (tmp_path / "index").as_uri())
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    return root


def torch_of(root: Path) -> str:
    python = setup._python_of(root / ".venv")
    return subprocess.check_output([python, "-c", "import torch; print(torch.__version__)"], text=True).strip()


def installed_in(root: Path) -> set[str]:
    listing = subprocess.check_output(
        [setup._python_of(root / ".venv"), "-m", "pip", "list", "--format=json"], text=True
    )
    return {package["name"] for package in json.loads(listing)}


def test_set_up_is_done_once_and_again_when_the_pins_change(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert setup.main(root=project) == 0, capsys.readouterr().err
    assert "set up in" in capsys.readouterr().out
    assert torch_of(project) == "2.13.0"
    assert {"onnxruntime", "tensorrt-course"} <= installed_in(project)
    log = (project / ".venv" / "setup.log").read_bytes()

    assert setup.main(root=project) == 0
    assert "up to date (cpu,rtx,grade,dev)" in capsys.readouterr().out
    assert (project / ".venv" / "setup.log").read_bytes() == log  # pip was not called

    index = project.parent / "index"
    add_wheel(index, "torch", "2.13.1")
    (project / "constraints.txt").write_text("torch==2.13.1\n")
    (project / ".venv" / "mine.txt").write_text("kept")
    assert setup.main(root=project) == 0
    assert torch_of(project) == "2.13.1"
    assert (project / ".venv" / "mine.txt").exists()  # the environment was changed, not made again


def test_the_other_onnx_runtime_goes_when_the_extras_change(
    project: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "include").mkdir()
    (tmp_path / "include" / "cuda.h").write_text("")
    monkeypatch.setenv("CUDA_HOME", str(tmp_path))
    assert setup.main(extras="cpu,rtx", root=project) == 0
    assert setup.main(extras="gpu,grade,dev", root=project) == 0
    assert "onnxruntime-gpu" in installed_in(project) and "onnxruntime" not in installed_in(project)
    assert setup.main(root=project) == 0  # without a word the last choice stays
    assert "onnxruntime-gpu" in installed_in(project)


def test_an_interrupted_set_up_is_repaired_by_the_next(project: Path) -> None:
    (project / "wait").touch()
    run = subprocess.Popen([sys.executable, "-c", SET_UP, str(project)], cwd=ROOT, start_new_session=os.name != "nt")
    try:
        for _ in range(600):
            if (project / "waiting").exists():
                break
            assert run.poll() is None, "set-up ended before it came to the project"
            time.sleep(0.1)
        assert (project / ".venv" / "unfinished").exists() and not (project / ".venv" / "setup.json").exists()
    finally:
        if os.name == "nt":
            run.kill()
        else:
            os.killpg(run.pid, signal.SIGKILL)
        run.wait()
    # As a kill between two files would leave it: pip takes this for an installed torch.
    broken = next((project / ".venv").glob("lib/python*/site-packages")) / "torch-2.13.0.dist-info"
    broken.mkdir(exist_ok=True)
    (broken / "METADATA").write_text("Metadata-Version: 2.1\nName: torch\nVersion: 2.13.0\n")
    (project / "wait").unlink()
    assert setup.main(root=project) == 0
    assert torch_of(project) == "2.13.0"
    assert not (project / ".venv" / "unfinished").exists()


def test_a_moved_project_gets_a_new_environment(project: Path) -> None:
    assert setup.main(root=project) == 0
    (project / ".venv" / "old").touch()
    moved = project.rename(project.parent / "moved")
    assert setup.main(root=moved) == 0
    assert not (moved / ".venv" / "old").exists() and torch_of(moved) == "2.13.0"


@linux
def test_cuda_packages_are_refused_before_they_are_downloaded(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    index = project.parent / "index"
    add_wheel(index, "torch", "2.13.0", requires="nvidia-cublas==13.1.1.3")
    (index / "nvidia-cublas").mkdir()  # the index knows it, and the file itself is not there to be had
    (index / "nvidia-cublas" / "index.html").write_text(
        '<a href="nvidia_cublas-13.1.1.3-py3-none-any.whl">nvidia_cublas-13.1.1.3-py3-none-any.whl</a>'
    )
    assert setup.main(root=project) == 1
    said = capsys.readouterr().err
    assert "no usable NVIDIA GPU" in said and "nvidia_cublas" in said
    assert "make setup TORCH_INDEX=https://download.pytorch.org/whl/cpu" in said
    assert "python -m helpers setup --torch-index https://download.pytorch.org/whl/cpu" in said
    assert "torch" not in installed_in(project)

    # The line it names works: torch, and nothing else, comes from that index.
    cpu = project.parent / "cpu"
    add_wheel(cpu, "torch", "2.13.0+cpu")
    assert setup.main(torch_index=cpu.as_uri(), root=project) == 0, capsys.readouterr().err
    assert torch_of(project) == "2.13.0+cpu"
    assert "onnxruntime" in installed_in(project)
    assert setup.main(root=project) == 0  # the index is remembered
    assert "up to date" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("line", "verdict"),
    [
        ("Collecting torch==2.13.0", None),
        ("  Downloading torch-2.13.0-cp311-cp311-manylinux_2_28_x86_64.whl.metadata (30 kB)", None),
        ("  Downloading torch-2.13.0-cp311-cp311-manylinux_2_28_x86_64.whl (526.6 MB)", "torch-2.13.0"),
        ("  Downloading torch-2.13.0-cp311-none-macosx_11_0_arm64.whl (73.7 MB)", ""),
        ("Downloading torch-2.13.0+cpu-cp311-cp311-manylinux_2_28_x86_64.whl (191.8 MB)", ""),
        ("  Downloading torch-2.5.1-cp311-cp311-manylinux1_x86_64.whl (1.2 GB)", "1200 MB"),
        ("Collecting nvidia-cuda-nvrtc==13.0.88 (from torch==2.13.0)", "nvidia-cuda-nvrtc"),
        ("Collecting cuda-bindings<14,>=13.0.3 (from torch==2.13.0)", "cuda-bindings"),
        ("Collecting triton==3.7.0 (from torch)", "triton"),
        ("Processing /wheels/nvidia_cublas-13.1.1.3-py3-none-any.whl (from torch)", "nvidia_cublas"),
        ("Collecting filelock (from torch==2.13.0)", None),
        ("Processing /wheels/torch-2.13.0+cpu-cp311-cp311-manylinux_2_28_x86_64.whl", None),
    ],
)
def test_what_a_line_of_pip_tells(line: str, verdict: str | None) -> None:
    found = setup.cuda_verdict(line)
    assert found == verdict if not verdict else found and verdict in found


@pytest.mark.parametrize(
    ("extras", "said"),
    [
        ("cpu,tensorrt", "expected names out of cpu, rtx, gpu, grade, dev"),
        ("cpu,gpu", "write to the same folder"),
    ],
)
def test_wrong_extras_are_named(project: Path, extras: str, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert setup.main(extras=extras, root=project) == 1
    assert said in capsys.readouterr().err
    assert not (project / ".venv").exists()


@linux
def test_missing_cuda_headers_are_named_before_anything_is_made(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("CUDA_ROOT", "CUDA_HOME", "CUDA_PATH", "CONDA_PREFIX"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr(setup.environment, "STANDARD_CUDA_FOLDERS", ())
    assert setup.main(extras="gpu,grade,dev", root=project) == 1
    assert "cuda.h" in capsys.readouterr().err
    assert not (project / ".venv").exists()


def test_a_failing_pip_is_shown_with_its_own_words(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (project / "constraints.txt").write_text("torch==2.13.0\nonnxruntime==9.9.9\n")
    assert setup.main(root=project) == 1
    said = capsys.readouterr().err
    assert "pip install failed" in said and "onnxruntime" in said and "setup.log" in said


def pyenv(version: str) -> str:
    """A Python of that version, from pyenv or from PATH, that really runs."""
    import shutil

    places = [*Path.home().glob(f".pyenv/versions/{version}.*/bin/python"), shutil.which(f"python{version}")]
    for place in places:
        if place and subprocess.run([str(place), "-c", ""], capture_output=True).returncode == 0:
            return str(place)
    pytest.skip(f"no Python {version} on this machine")


@pytest.mark.parametrize("version", ["3.8", "3.9", "3.10"])
@pytest.mark.parametrize("command", ["setup", "test"])
def test_a_python_outside_the_range_is_told_so(version: str, command: str) -> None:
    done = subprocess.run([pyenv(version), "-m", "helpers", command], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 1
    assert f"this is Python {version}." in done.stderr and "needs Python 3.11 to 3.13" in done.stderr
    assert "make setup PYTHON=python3.11" in done.stderr and "Traceback" not in done.stderr


@pytest.mark.parametrize("version", ["3.12", "3.13"])
def test_other_pythons_of_the_range_set_up_too(version: str, project: Path) -> None:
    done = subprocess.run([pyenv(version), "-c", SET_UP, str(project)], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert torch_of(project) == "2.13.0"
    if version == "3.12" and sys.version_info[:2] != (3, 12):
        assert setup.main(root=project) == 0  # this Python is another: .venv is made again with it
        found = subprocess.check_output([setup._python_of(project / ".venv"), "--version"], text=True)
        assert found.split()[1] == ".".join(map(str, sys.version_info[:3]))


def test_debians_python_without_venv_names_the_package(project: Path, tmp_path: Path) -> None:
    hidden = tmp_path / "hidden"
    hidden.mkdir()
    # Debian ships `venv` in python3 and `ensurepip` in python3-venv; without the latter the import fails like this.
    (hidden / "ensurepip.py").write_text("raise ModuleNotFoundError(\"No module named 'ensurepip'\", name='ensurepip')")
    done = subprocess.run(
        [sys.executable, "-c", SET_UP, str(project)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(hidden), str(ROOT)])},
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    assert f"sudo apt install python{sys.version_info[0]}.{sys.version_info[1]}-venv" in done.stderr
    assert not (project / ".venv").exists()


def test_into_the_running_python_keeps_its_torch(project: Path, tmp_path: Path) -> None:
    add_wheel(project.parent / "index", "torch", "2.10.0")
    place = tmp_path / "colab"
    subprocess.run([sys.executable, "-m", "venv", str(place)], check=True)
    python = setup._python_of(place)
    subprocess.run([python, "-m", "pip", "install", "-q", "torch==2.10.0"], check=True)
    done = subprocess.run(
        [python, "-c", SET_UP.replace("root=", "here=True, root="), str(project)],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert "torch 2.10.0 was kept" in done.stdout
    version = subprocess.check_output([python, "-c", "import torch, onnxruntime; print(torch.__version__)"], text=True)
    assert version.strip() == "2.10.0"
    assert not (project / ".venv").exists()


PIP_SAYS = [
    "Collecting torch==2.13.0\n",
    "  Downloading torch-2.13.0-cp311-cp311-manylinux_2_28_x86_64.whl (191.8 MB)\n",
    "  Downloading idna-3.20-py3-none-any.whl (66 kB)\n",
    "Installing collected packages: idna, torch\n",
]


def test_progress_is_one_line_on_a_terminal_and_the_large_downloads_elsewhere(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert list(setup._shown(iter(PIP_SAYS))) == PIP_SAYS
    said = capsys.readouterr().out
    assert "torch-2.13.0" in said and "191.8 MB" in said and "idna" not in said and "installing 2 packages" in said
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    assert list(setup._shown(iter(PIP_SAYS))) == PIP_SAYS
    said = capsys.readouterr().out
    assert "\n" not in said and "1 packages: Downloading idna" in said and said.endswith("\r\033[K")


@pytest.mark.parametrize(
    ("gpu", "driver_cuda", "extras"),
    [
        (None, None, "cpu,rtx,grade,dev"),
        (Gpu("Tesla T4", (7, 5), 16 << 30), (13, 0), "gpu,grade,dev"),
        (Gpu("Tesla T4", (7, 5), 16 << 30), (12, 4), "cpu,rtx,grade,dev"),
        (Gpu("Tesla T4", (7, 5), 16 << 30), None, "cpu,rtx,grade,dev"),
        (Gpu("GTX 1080", (6, 1), 8 << 30), (13, 0), "cpu,rtx,grade,dev"),
    ],
)
def test_extras_by_machine(gpu: Gpu | None, driver_cuda: tuple[int, int] | None, extras: str) -> None:
    machine = Environment(python="3.11.7", platform="Linux x86_64", packages={}, gpu=gpu, driver_cuda=driver_cuda)
    assert setup.choose_extras(machine) == extras


def test_a_students_bundle_is_set_up_without_what_grading_and_tests_need(tmp_path: Path) -> None:
    machine = Environment(python="3.11.7", platform="Linux x86_64", packages={}, gpu=None, driver_cuda=None)
    assert setup.choose_extras(machine, tmp_path) == "cpu,rtx"
    with_gpu = Environment("3.11.7", "Linux x86_64", {}, gpu=Gpu("Tesla T4", (7, 5), 16 << 30), driver_cuda=(13, 0))
    assert setup.choose_extras(with_gpu, tmp_path) == "gpu"
    (tmp_path / "tests").mkdir()
    assert setup.choose_extras(machine, tmp_path) == "cpu,rtx,grade,dev"


def test_an_index_that_is_no_address_is_refused_before_anything_is_touched(tmp_path, capsys):
    assert setup.main(torch_index="notaurl", root=tmp_path) == 1
    assert "TORCH_INDEX is 'notaurl'" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
