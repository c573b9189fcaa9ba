"""Processes that can do no harm and see no secrets: a Python module of the course in bubblewrap.

Inside there are the system's programs and libraries, this Python with its packages, a pruned copy of the course at
/course, all of them read-only, and an empty home and /tmp in memory that end with the process. There is no network, no
process of the host, no repository, no gradebook, no key, no other submission and none of the grader's environment.
"""

from __future__ import annotations

import compileall
import functools
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

COURSE = "/course"
HOME = "/home/student"
# Libraries count the threads that they may start by these, when they are imported.
THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS")
_ROOT = Path(__file__).resolve().parents[2]
# What of helpers/grading a graded process needs; the checks and whoever judges are not for its eyes.
_GRADING = ("__init__", "check", "report", "compare", "subject", "student", "device", "examiner", "draw", "stand_ins")
_ETC = ("ld.so.cache", "ld.so.conf", "ld.so.conf.d", "fonts", "localtime", "alternatives")
_STUBS = {
    "/etc/passwd": "student:x:1000:1000::/home/student:/usr/sbin/nologin\n",
    "/etc/group": "student:x:1000:\n",
    "/etc/hosts": "127.0.0.1 localhost\n",
}


class SandboxError(RuntimeError):
    """This machine offers no sandbox; the text says why, and what to do."""


@dataclass(frozen=True)
class Resources:
    """What a process may take.

    Attributes:
        memory: bytes of private memory of one process (RLIMIT_DATA).
        address_space: bytes of address space of one process: shared memory and code count too.
        files: bytes of home, of /tmp and of shared memory, each; also of one file.
        open_files: file descriptors of one process.
        processes: and threads. The kernel does not hold a grader to it that runs as root.
    """

    memory: int = 4 << 30
    address_space: int = 32 << 30
    files: int = 1 << 30
    open_files: int = 1024
    processes: int = 512


# --- the course's folder --------------------------------------------------------------------------------------------


def prune(root: Path, target: Path, absent: Sequence[str]) -> Path:
    """Copy what a graded run may see of the course to a new folder, and compile it.

    Args:
        root: the repository.
        absent: modules that hold answers ("helpers.export"; "helpers.grading.stand_ins.ex1_parse"; packages too).

    Returns:
        `target`, with helpers/ and assets/.

    Raises:
        SandboxError: a module of `absent` does not exist: then something else may hold its answers.
    """
    helpers = root / "helpers"
    dropped = {_module(root, name) for name in absent} | {helpers / "releases"}
    for entry in (helpers / "grading").iterdir():
        if entry.stem not in _GRADING:
            dropped.add(entry)

    def ignore(folder: str, names: list[str]) -> list[str]:
        return [n for n in names if Path(folder, n) in dropped or n == "__pycache__" or n.endswith(".pyc")]

    shutil.copytree(helpers, target / "helpers", ignore=ignore)
    shutil.copytree(root / "assets", target / "assets", ignore=ignore)
    compileall.compile_dir(target / "helpers", quiet=2, ddir=f"{COURSE}/helpers", workers=1)
    return target


def _module(root: Path, name: str) -> Path:
    path = root.joinpath(*name.split("."))
    if path.is_dir():
        return path
    if path.with_suffix(".py").is_file():
        return path.with_suffix(".py")
    raise SandboxError(f"there is no module {name!r} in {root} to leave out; name the one that holds the answers now")


# --- whether it works -----------------------------------------------------------------------------------------------


def check() -> None:
    """Start a process in the sandbox that does nothing.

    Raises:
        SandboxError: why it does not work here, and the remedy.
    """
    if sys.platform != "linux":
        raise SandboxError(
            f"submissions run in bubblewrap, which {sys.platform} does not have. On Windows work in WSL2"
            " (`wsl --install`), on macOS in a Linux container or virtual machine."
        )
    for program, package in (("bwrap", "bubblewrap"), ("prlimit", "util-linux")):
        if shutil.which(program) is None:
            raise SandboxError(f"the program {program} is missing. Install it: sudo apt-get install {package}")
    mounts = ["--ro-bind", "/usr", "/usr", *_system(), "--proc", "/proc", "--remount-ro", "/proc"]
    command = [_bwrap(), *_namespaces(), *mounts, "--", "true"]
    tried = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=60)
    if tried.returncode != 0:
        said = " ".join(tried.stderr.split()) or f"exit status {tried.returncode}"
        raise SandboxError(f"bubblewrap does not work here: {said}. {_remedy(_setting)}")


def _setting(path: str) -> str:
    try:
        return Path(path).read_text().strip()
    except OSError:
        return ""


def _remedy(setting: Callable[[str], str]) -> str:
    if setting("/proc/sys/user/max_user_namespaces") == "0":
        return "User namespaces are switched off: sudo sysctl user.max_user_namespaces=10000"
    if setting("/proc/sys/kernel/unprivileged_userns_clone") == "0":
        return "Unprivileged user namespaces are switched off: sudo sysctl kernel.unprivileged_userns_clone=1"
    if setting("/proc/sys/kernel/apparmor_restrict_unprivileged_userns") == "1":
        return (
            "AppArmor restricts user namespaces (Ubuntu 23.10 and newer). Install the profile that lets bubblewrap use"
            " them: sudo apt-get install apparmor-profiles && sudo cp"
            " /usr/share/apparmor/extra-profiles/bwrap-userns-restrict /etc/apparmor.d/ && sudo apparmor_parser -r"
            " /etc/apparmor.d/bwrap-userns-restrict"
        )
    return (
        "In a container, start it so that it may make user namespaces and mount /proc: docker run --security-opt"
        " seccomp=unconfined --security-opt apparmor=unconfined --security-opt systempaths=unconfined ... (or"
        " --privileged)."
    )


def _bwrap() -> str:
    found = shutil.which("bwrap")
    if found is None:
        raise SandboxError("the program bwrap is missing. Install it: sudo apt-get install bubblewrap")
    return found


@functools.cache
def _options() -> str:
    return subprocess.run([_bwrap(), "--help"], capture_output=True, text=True).stdout


def _namespaces() -> list[str]:
    found = ["--unshare-all", "--unshare-user", "--die-with-parent", "--new-session"]
    if "--disable-userns" in _options():  # since 0.8
        found.append("--disable-userns")
    return [*found, "--uid", "1000", "--gid", "1000", "--hostname", "sandbox", "--clearenv"]


def _system() -> list[str]:
    """/bin, /lib and their like: links into /usr on most systems, folders on some."""
    arguments = []
    for path in ("/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32"):
        if os.path.islink(path):
            arguments += ["--symlink", os.readlink(path), path]
        elif os.path.isdir(path):
            arguments += ["--ro-bind", path, path]
    return arguments


# --- starting -------------------------------------------------------------------------------------------------------


def start(
    module: str,
    arguments: Sequence[str],
    *,
    course: Path,
    fds: Sequence[int] = (),
    extra_read_only: Mapping[str, Path] | None = None,
    env: Mapping[str, str] | None = None,
    limits: Resources = Resources(),
    output: Any = subprocess.DEVNULL,
) -> subprocess.Popen[bytes]:
    """Start `python -m module arguments` in the sandbox. It ends when the thread that started it ends.

    Args:
        course: what `prune` made; read-only at /course, and first on the module path.
        fds: file descriptors that the process inherits, by their numbers.
        extra_read_only: further files and folders, by their path inside.
        env: environment variables; nothing of this process' own is there.
        output: where stdout and stderr go, as for `subprocess.Popen`.

    Returns:
        The process, the leader of a process group of its own. Killing it ends everything in the sandbox.

    Raises:
        SandboxError: bubblewrap is missing, or the mounts would show the repository.
    """
    files = {path: _memory_file(text) for path, text in (_STUBS | _font_cache()).items()}
    options = [
        *_namespaces(),
        *_environment(env or {}),
        *_mounts({COURSE: course, **(extra_read_only or {})}, limits),
        *(word for path, fd in files.items() for word in ("--perms", "0644", "--bind-data", str(fd), path)),
        # /proc too: where the grader is root, so is the sandboxed user to the kernel, and /proc/sys is root's
        *("--remount-ro", "/dev", "--remount-ro", "/proc", "--remount-ro", "/", "--chdir", HOME),
    ]
    # through a file: the command line of the sandbox's first process can be read inside, and has the host's paths
    files["options"] = _memory_file("\0".join(options))
    command = [
        *(_bwrap(), "--args", str(files["options"]), "--"),
        *("prlimit", "--core=0", f"--data={limits.memory}", f"--as={limits.address_space}"),
        *(f"--fsize={limits.files}", f"--nofile={limits.open_files}", f"--nproc={limits.processes}", "--"),
        *(sys.executable, "-P", "-m", module, *arguments),
    ]
    try:
        return subprocess.Popen(
            command,
            pass_fds=[*fds, *files.values()],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output if output == subprocess.DEVNULL else subprocess.STDOUT,
            start_new_session=True,
            env={"PATH": os.environ.get("PATH", os.defpath)},
        )
    finally:
        for fd in files.values():
            os.close(fd)


def _memory_file(content: str | bytes) -> int:
    fd = os.memfd_create("stub")
    os.write(fd, content.encode() if isinstance(content, str) else content)
    os.lseek(fd, 0, os.SEEK_SET)
    return fd


def _environment(env: Mapping[str, str]) -> list[str]:
    own = {
        "HOME": HOME,
        "USER": "student",
        "LOGNAME": "student",
        "LANG": "C.UTF-8",
        "TMPDIR": "/tmp",
        "PATH": os.pathsep.join((os.path.dirname(sys.executable), "/usr/local/bin", "/usr/bin", "/bin")),
        "PYTHONPATH": os.pathsep.join((COURSE, *map(str, _packages_outside()))),
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONUNBUFFERED": "1",
        "PYTHONNOUSERSITE": "1",
    }
    return [word for name, value in (own | dict(env)).items() for word in ("--setenv", name, value)]


def _mounts(extra: Mapping[str, Path], limits: Resources) -> list[str]:
    """Options for all mounts, outer folders first: what lies inside another one must come later."""
    size = ["--size", str(limits.files)] if "--size" in _options() else []
    todo: dict[Path, list[str]] = {Path(path): [*size, "--tmpfs", path] for path in ("/tmp", HOME, "/dev/shm")}
    todo[Path("/dev")] = ["--dev", "/dev"]
    todo[Path("/proc")] = ["--proc", "/proc"]
    python = _python()
    for path in (Path("/usr"), *python):
        todo[path] = ["--ro-bind", str(path), str(path)]
    for path in _masks((Path("/usr"), *python)):
        todo[path] = ["--tmpfs", str(path), "--remount-ro", str(path)]
    for path in (*(Path("/etc") / name for name in _ETC), Path("/sys/devices/system/cpu")):
        if path.exists():  # ONNX Runtime and PyTorch count processors there
            todo[path] = ["--ro-bind", str(path), str(path)]
    for inside, outside in extra.items():
        todo[Path(inside)] = ["--ro-bind", str(outside), inside]
    ordered = sorted(todo.items(), key=lambda item: len(item[0].parts))
    return [*_system(), *(word for _, words in ordered for word in words)]


def _python() -> list[Path]:
    """Folders that this Python needs beside /usr: its own, the virtual environment's, and where its links lead."""
    wanted = [Path(sys.prefix), Path(sys.base_prefix), Path(sys.exec_prefix), *_packages_outside()]
    link = Path(sys.executable)
    while link.is_symlink():
        link = Path(os.path.normpath(link.parent / os.readlink(link)))
        if link.parent.name == "bin":
            wanted.append(link.parent.parent)
    wanted += [path.resolve() for path in wanted]
    return sorted({path for path in wanted if not _inside(path, (Path("/usr"),)) and len(path.parts) > 1})


def _packages_outside() -> list[Path]:
    """Folders of packages that neither Python's nor the environment's own folder holds."""
    own = (Path("/usr"), Path(sys.prefix), Path(sys.base_prefix))
    folders = (Path(p) for p in sys.path if p and Path(p).name in ("site-packages", "dist-packages"))
    return [path for path in folders if path.is_dir() and not _inside(path, own)]


def _inside(path: Path, folders: Iterable[Path]) -> bool:
    return any(path.is_relative_to(folder) for folder in folders)


def _masks(visible: Sequence[Path]) -> list[Path]:
    """What lies in a folder that is shown and must not be: the repository, an installed copy of the course."""
    repository = (_ROOT / "pyproject.toml").is_file()
    if repository and _ROOT in visible:
        raise SandboxError(
            f"Python's own folder is the repository ({_ROOT}), so that a sandbox with Python would show it. Make the"
            " virtual environment in a folder of its own: make setup"
        )
    found = [_ROOT] if repository else []
    found += [Path(p).resolve() / "helpers" for p in sys.path if p and (Path(p) / "helpers" / "grading").is_dir()]
    return [path for path in found if _inside(path, visible) and not (repository and path.parent == _ROOT)]


def _font_cache() -> dict[str, bytes]:
    """Matplotlib's list of fonts, where this user has one: making it takes a second of each run."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "matplotlib"
    return {f"{HOME}/.cache/matplotlib/{path.name}": path.read_bytes() for path in cache.glob("fontlist-v*.json")}
