"""`python -m helpers setup`: make `.venv` and install what this machine needs. Standard library only.

Pins come from constraints.txt, ranges from pyproject.toml. What is installed besides the base is chosen by the machine:
`gpu,grade,dev` where an NVIDIA GPU and a driver for CUDA 13 are, `cpu,rtx,grade,dev` elsewhere; in a student's bundle,
which has no tests and grades no class, `gpu` or `cpu,rtx`. EXTRAS= overrides it.

A stamp inside `.venv` makes a second run a matter of milliseconds. A run that was interrupted leaves a mark, and the
next one starts afresh, because pip takes a half-installed package for an installed one.

PyTorch's wheels for Linux on PyPI are CUDA builds of several gigabytes. On a Linux machine without a GPU pip is asked
first what it would take (a dry run, ended as soon as it is known), and if that is a CUDA build nothing is downloaded.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import Iterator
from pathlib import Path

from helpers import NEWEST_PYTHON, OLDEST_PYTHON, environment
from helpers.files import replacing

ROOT = Path(__file__).resolve().parent.parent
CPU_INDEX = "https://download.pytorch.org/whl/cpu"
LARGEST_CPU_WHEEL_MB = 300  # PyTorch's CPU wheel has about 190 MB, its CUDA 13 wheel 527 MB without what it requires
_CUDA_PACKAGE = re.compile(r"(nvidia|cuda|triton)(?![a-z0-9])", re.IGNORECASE)
_DOWNLOAD = re.compile(r"Downloading (\S+?)(?:\.metadata)? \(([\d.]+) (kB|MB|GB)\)")


class SetupError(Exception):
    """Set-up cannot go on; the text says what was wrong and what to do."""


def main(extras: str | None = None, torch_index: str | None = None, here: bool = False, root: Path = ROOT) -> int:
    """Set up `root`. Returns 0 when all is installed, 1 after an explained failure, 130 when interrupted.

    `extras` is as in "cpu,rtx,grade,dev", `torch_index` the URL of the index that torch alone is taken from; with
    None, both are what the last set-up used, else chosen. With `here` the running Python is installed into, not
    `.venv`.
    """
    try:
        check_python()
        _check_extras(extras, root)
        _check_index(torch_index)
        if here:
            _set_up_here(root, extras or choose_extras(root=root), torch_index)
        else:
            _set_up_venv(root, extras, torch_index)
    except SetupError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\ninterrupted; the next run starts the set-up afresh", file=sys.stderr)
        return 130
    return 0


def _check_index(torch_index: str | None) -> None:
    if torch_index and not torch_index.startswith(("https://", "http://", "file:")) and not Path(torch_index).is_dir():
        raise SetupError(
            f"TORCH_INDEX is {torch_index!r}, expected the address of a package index, as in "
            "https://download.pytorch.org/whl/cpu"
        )


def python_range_message() -> str:
    """Say which Python runs, which range the course needs, and how to name another one."""
    return (
        "this is Python {}.{}.{} ({}), and the course needs Python {}.{} to {}.{}.\n"
        "Install one of these, then name it: make setup PYTHON=python{}.{}\n"
        "Without make: python{}.{} -m helpers setup (on Windows: py -{}.{} -m helpers setup)"
    ).format(*sys.version_info[:3], sys.executable, *(OLDEST_PYTHON + NEWEST_PYTHON + 3 * OLDEST_PYTHON))


def check_python() -> None:
    """Raise SetupError when the running Python is outside the course's range."""
    if not OLDEST_PYTHON <= sys.version_info[:2] <= NEWEST_PYTHON:
        raise SetupError(python_range_message())


def _check_venv_module() -> None:
    try:
        import ensurepip
        import venv
    except ImportError as error:
        version = "{}.{}".format(*sys.version_info[:2])
        raise SetupError(
            f"this Python ({sys.executable}) cannot make a virtual environment: {error}.\n"
            f"On Debian and Ubuntu: sudo apt install python{version}-venv\n"
            "Elsewhere install Python from python.org or conda, and name it: make setup PYTHON=..."
        ) from None
    del ensurepip, venv


def choose_extras(env: environment.Environment | None = None, root: Path = ROOT) -> str:
    """`gpu,grade,dev` for a machine whose GPU and driver serve CUDA 13, else `cpu,rtx,grade,dev`.

    Without `,grade,dev` where `root` has no tests, as in a student's bundle: `gpu` or `cpu,rtx`.
    """
    rest = ",grade,dev" if (root / "tests").is_dir() else ""
    if env is None:
        gpu, driver_cuda, _ = environment._inspect_gpu()
    else:
        gpu, driver_cuda = env.gpu, env.driver_cuda
    if gpu is None:
        return "cpu,rtx" + rest
    if gpu.compute_capability < (7, 5) or (driver_cuda or (0,)) < (13,):
        print(
            f"{gpu.name} is left unused: the GPU packages are built for CUDA 13, which needs compute capability 7.5 "
            "and a driver R580 or newer (python -m helpers doctor says more)"
        )
        return "cpu,rtx" + rest
    return "gpu" + rest


def _check_extras(extras: str | None, root: Path) -> None:
    if extras is None:
        return
    import tomllib

    known = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    names = extras.split(",")
    if not set(names) <= set(known):
        raise SetupError(f"EXTRAS is {extras!r}, expected names out of {', '.join(known)}, joined by commas")
    if {"cpu", "gpu"} <= set(names):
        raise SetupError(
            f"EXTRAS is {extras!r}: onnxruntime (cpu) and onnxruntime-gpu (gpu) write to the same folder; take one"
        )


# --- into .venv ---


def _set_up_venv(root: Path, extras: str | None, torch_index: str | None) -> None:
    venv = root / ".venv"
    unfinished, stamp = venv / "unfinished", venv / "setup.json"
    last = _read_stamp(stamp) if _python_of(venv).exists() and not unfinished.exists() else {}
    extras = extras or last.get("extras") or choose_extras(root=root)
    torch_index = torch_index or last.get("torch_index")
    wanted = {
        "files": _digest(root / "pyproject.toml", root / "constraints.txt"),
        "extras": extras,
        "torch_index": torch_index,
        "python": list(sys.version_info[:2]),
        "root": str(root),
    }
    if last == wanted:
        print(f".venv is up to date ({extras})")
        return
    started = time.monotonic()
    _check_venv_module()
    _check_cuda_headers(venv, extras)
    keep = last.get("python") == wanted["python"] and last.get("root") == wanted["root"]
    if not keep:
        _make_venv(venv, unfinished)
    _guard_against_cuda(_python_of(venv), root, extras, torch_index)
    unfinished.touch()
    stamp.unlink(missing_ok=True)
    if last and last["extras"] != extras:
        # The two ONNX Runtimes share a folder: uninstalling one after installing the other would break it.
        _pip(_python_of(venv), ["uninstall", "-y", "onnxruntime", "onnxruntime-gpu"], venv / "setup.log")
    print(f"installing the course's packages ({extras}) into {venv}")
    _install(_python_of(venv), root, extras, torch_index, root / "constraints.txt", venv / "setup.log")
    with replacing(stamp) as part:
        part.write_text(json.dumps(wanted, indent=1), encoding="utf-8")
    unfinished.unlink()
    print(f"set up in {time.monotonic() - started:.0f} s")


def _python_of(venv: Path) -> Path:
    return venv / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def _read_stamp(stamp: Path) -> dict:
    try:
        found = json.loads(stamp.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _digest(*paths: Path) -> str:
    digest = hashlib.sha256()
    for path in paths:
        digest.update(path.read_bytes())
    return digest.hexdigest()


def _make_venv(venv: Path, unfinished: Path) -> None:
    """A new, empty `.venv`, marked as unfinished from the first moment."""
    print(f"making {venv} with Python {sys.version.split()[0]}")
    try:
        if venv.exists():
            shutil.rmtree(venv)
        venv.mkdir()
        unfinished.touch()
    except OSError as error:
        raise SetupError(
            f"{venv} cannot be replaced: {error}.\nClose the programs that use it (JupyterLab, an editor), and on "
            "Windows call the Python outside it: py -m helpers setup"
        ) from None
    # From inside the old .venv this is the Python that it was made with.
    python = getattr(sys, "_base_executable", None) or sys.executable
    made = subprocess.run([python, "-m", "venv", str(venv)], capture_output=True, text=True)
    if made.returncode:
        raise SetupError(f"{python} -m venv failed:\n{(made.stdout + made.stderr).strip()}")


# --- into the running Python ---


def _set_up_here(root: Path, extras: str, torch_index: str | None) -> None:
    python = Path(sys.executable)
    kept = {}
    lines = []
    for line in (root / "constraints.txt").read_text(encoding="utf-8").splitlines():
        name = re.split(r"[=<>~ ;#]", line, maxsplit=1)[0]
        try:
            installed = importlib.metadata.version(name) if name else None
        except importlib.metadata.PackageNotFoundError:
            installed = None
        if installed is None:
            lines.append(line)
        elif name == "torch":
            kept[name] = installed
            lines.append(f"{name}=={installed}")
        # Other packages that are here already stay as they are while they are inside pyproject.toml's ranges.
    if not kept:
        _guard_against_cuda(python, root, extras, torch_index)
    if {"cpu", "gpu"} & set(extras.split(",")):
        other = "onnxruntime-gpu" if "cpu" in extras.split(",") else "onnxruntime"
        _pip(python, ["uninstall", "-y", other], None)
    print(f"installing the course's packages ({extras}) into {sys.prefix}")
    with tempfile.TemporaryDirectory() as folder:
        constraints = Path(folder) / "constraints.txt"
        constraints.write_text("\n".join(lines) + "\n", encoding="utf-8")
        _install(python, root, extras, None if kept else torch_index, constraints, None)
    print("torch " + (f"{kept['torch']} was kept" if kept else "was installed"))


# --- pip ---


def _check_cuda_headers(venv: Path, extras: str) -> None:
    """pycuda is compiled when it is installed: say at once that the headers are missing, not after ten minutes."""
    if "gpu" not in extras.split(",") or not sys.platform.startswith("linux") or environment.cuda_headers():
        return
    if any(venv.glob("lib/python*/site-packages/pycuda")):
        return
    raise SetupError(
        "EXTRAS has gpu, and pycuda, which is compiled while it is installed, needs cuda.h of the CUDA toolkit.\n"
        "Install the toolkit (cuda-toolkit-13-0 from NVIDIA, or conda install cuda-toolkit) or set CUDA_HOME to it;\n"
        "or do without the GPU packages: make setup EXTRAS=cpu,rtx,grade,dev"
    )


def _guard_against_cuda(python: Path, root: Path, extras: str, torch_index: str | None) -> None:
    """Raise SetupError when pip would take a CUDA build of torch on a Linux machine without a GPU."""
    if not sys.platform.startswith("linux") or torch_index or "gpu" in extras.split(","):
        return
    if environment._inspect_gpu()[0] is not None:
        return
    reason = _cuda_in_dry_run(python, root / "constraints.txt")
    if reason:
        raise SetupError(
            f"this Linux machine has no usable NVIDIA GPU, and pip would download PyTorch's CUDA build ({reason}), "
            "several GB that cannot be used here. It was stopped before that. Take PyTorch's CPU build:\n"
            f"    make setup TORCH_INDEX={CPU_INDEX}\n"
            f"without make:\n    python -m helpers setup --torch-index {CPU_INDEX}\n"
            "and then what you called. (EXTRAS=gpu,grade,dev takes the CUDA build all the same.)"
        )


def _cuda_in_dry_run(python: Path, constraints: Path) -> str | None:
    # pip's dry run downloads the wheels too. So its lines are read as they come, and it is ended once they tell.
    command = [
        str(python),
        "-m",
        "pip",
        "install",
        "--dry-run",
        "--progress-bar",
        "off",
        "torch",
        "-c",
        str(constraints),
    ]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=_environment_for_pip()
    ) as pip:
        assert pip.stdout is not None
        try:
            for line in pip.stdout:
                verdict = cuda_verdict(line)
                if verdict is not None:
                    return verdict or None
        finally:
            pip.kill()
    return None


def cuda_verdict(line: str) -> str | None:
    """What one line of pip's output tells of torch: why it is a CUDA build, "" that it is none, None nothing yet.

    An index that serves metadata names the nvidia packages before any download; one that does not begins with
    torch's own wheel, whose size tells.
    """
    found = re.match(r"\s*(?:Collecting|Processing) (\S+)", line)
    if found:
        name = found.group(1).replace("\\", "/").rsplit("/", 1)[-1]
        return re.split(r"[=<>~!\[;]|-\d", name)[0] if _CUDA_PACKAGE.match(name) else None
    found = _DOWNLOAD.search(line)
    if found and found.group(1).startswith("torch-") and ".metadata" not in line:
        size = _megabytes(found.group(2), found.group(3))
        return f"{found.group(1)}, {size:.0f} MB" if size > LARGEST_CPU_WHEEL_MB else ""
    return None


def _megabytes(number: str, unit: str) -> float:
    return float(number) * {"kB": 1e-3, "MB": 1.0, "GB": 1e3}[unit]


def _install(
    python: Path, root: Path, extras: str, torch_index: str | None, constraints: Path, log: Path | None
) -> None:
    if torch_index:
        # Without dependencies, so that nothing but torch comes from that index; the next call brings them.
        _pip(python, ["install", "--no-deps", "--index-url", torch_index, "torch", "-c", str(constraints)], log)
    # Modules are compiled when they are first imported; compiling all of them here would take longer.
    _pip(python, ["install", "--no-compile", "-c", str(constraints), "-e", f"{root}[{extras}]"], log)


def _pip(python: Path, arguments: list[str], log: Path | None) -> None:
    """Run pip with one line of progress; raise SetupError with the end of its output when it fails."""
    command = [str(python), "-m", "pip", *arguments, "--progress-bar", "off"]
    if arguments[0] == "uninstall":
        command = command[:-2]
    tail: deque[str] = deque(maxlen=25)
    with subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        encoding="utf-8",
        errors="replace",
        env=_environment_for_pip(),
    ) as pip:
        assert pip.stdout is not None
        with open(log or os.devnull, "a", encoding="utf-8") as record:
            print(" ".join(command), file=record)
            for line in _shown(pip.stdout):
                record.write(line)
                tail.append(line)
    if pip.returncode:
        raise SetupError(
            f"pip {arguments[0]} failed ({pip.returncode}). The end of what it said:\n{''.join(tail).rstrip()}\n"
            + (f"All of it: {log}. " if log else "")
            + "If the network was to blame, run the same command again; pip keeps what it has downloaded."
        )


def _shown(lines: Iterator[str]) -> Iterator[str]:
    """Pass `lines` of pip on, and show where it is: one changing line on a terminal, the large downloads elsewhere."""
    terminal = sys.stdout.isatty()
    packages = 0
    for line in lines:
        text = line.strip()
        download = _DOWNLOAD.match(text)
        if text.startswith(("Collecting ", "Processing ")):
            packages += 1
        if terminal:
            if download or text.startswith(("Collecting ", "Processing ", "Installing ", "Building ")):
                print(f"\r\033[K  {packages} packages: {text[:68]}", end="", flush=True)
        elif download and _megabytes(download.group(2), download.group(3)) >= 20:
            print(f"  {download.group(1)}: {download.group(2)} {download.group(3)}", flush=True)
        elif text.startswith("Installing collected packages"):
            print(f"  installing {text.count(',') + 1} packages", flush=True)
        yield line
    if terminal:
        print("\r\033[K", end="", flush=True)


def _environment_for_pip() -> dict[str, str]:
    return {**os.environ, "PYTHONUNBUFFERED": "1", "PIP_DISABLE_PIP_VERSION_CHECK": "1", "PIP_NO_INPUT": "1"}
