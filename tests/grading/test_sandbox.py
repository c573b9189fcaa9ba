"""The sandbox, with the real bubblewrap: what a process inside sees, may do, and may take."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from helpers.grading import sandbox
from helpers.grading.sandbox import Resources, SandboxError

ROOT = Path(__file__).resolve().parents[2]
ABSENT = ("helpers.export", "helpers.engine", "helpers.runtime", "helpers.grading.stand_ins.ex1_parse")


@pytest.fixture(scope="module")
def course(tmp_path_factory):
    return sandbox.prune(ROOT, tmp_path_factory.mktemp("sandbox") / "course", ABSENT)


@pytest.fixture
def inside(system_program, course, tmp_path):
    """`inside(code)` runs Python code in the sandbox; it returns (exit status, what it printed)."""
    system_program("bwrap", package="bubblewrap")

    def run(code: str, seconds: float = 120, **settings) -> tuple[int, str]:
        (tmp_path / "probe.py").write_text(code)
        settings["extra_read_only"] = {"/probe": tmp_path} | settings.get("extra_read_only", {})
        settings["env"] = {"PYTHONPATH": "/course:/probe"} | settings.get("env", {})
        process = sandbox.start("probe", [], course=course, output=subprocess.PIPE, **settings)
        try:
            return process.wait(seconds), process.stdout.read().decode()
        finally:
            process.kill()
            process.stdout.close()

    return run


# --- the course's folder ---


def test_the_course_has_neither_answers_nor_judges(course):
    names = {str(path.relative_to(course)) for path in course.rglob("*.py")}
    assert {"helpers/backend.py", "helpers/simulator/device.py", "helpers/grading/student.py"} <= names
    assert {"helpers/grading/device.py", "helpers/grading/examiner.py", "helpers/messages.py"} <= names
    gone = {"export", "engine", "runtime", "grading/judge", "grading/sandbox", "grading/course", "grading/merge"}
    assert not {f"helpers/{name}.py" for name in gone} & names
    assert not any("checks" in name or "ex1_parse" in name for name in names)
    compiled = {path.name.split(".")[0] for path in course.rglob("*.pyc")}
    assert "backend" in compiled and not {"export", "engine", "judge", "ex1_distilbert"} & compiled
    assert (course / "assets" / "distilbert_small" / "model.safetensors").is_file()


def test_an_answer_that_is_nowhere_is_not_left_out_in_silence(tmp_path):
    with pytest.raises(SandboxError, match=r"no module 'helpers\.exporting'.* name the one that holds the answers now"):
        sandbox.prune(ROOT, tmp_path / "course", ["helpers.exporting"])


# --- what is seen ---


def test_no_repository_no_homes_no_processes_no_environment(inside, monkeypatch, tmp_path):
    monkeypatch.setenv("GRADEBOOK_KEY", "secret")
    (tmp_path.parent / "beside.txt").write_text("another submission")
    # an environment inside the repository has its folder's name in its own path; nothing else of the repository is there
    within = Path(sys.prefix).is_relative_to(ROOT)
    paths = [] if within else [ROOT]
    paths += [path for path in ROOT.iterdir() if not Path(sys.prefix).is_relative_to(path)]
    paths += [
        ROOT / "helpers" / "export.py",
        tmp_path,
        tmp_path.parent / "beside.txt",
        Path.home() / ".bashrc",
        Path("/etc/shadow"),
        Path("/var"),
    ]
    code = f"""
import json, os, sys
walked = [os.path.join(d, f) for top in ("/root", "/home", "/tmp", "/etc", "/course") for d, _, files in os.walk(top)
          if not d.startswith({sys.prefix!r}) and not d.startswith({sys.base_prefix!r}) for f in files]
said = "".join(open(f"/proc/{{p}}/{{name}}").read() for p in os.listdir("/proc") if p.isdigit()
               for name in ("cmdline", "environ"))
print(json.dumps([
    [p for p in {list(map(str, paths))!r} if os.path.exists(p)],
    [p for p in os.listdir("/proc") if p.isdigit()],
    dict(os.environ), [p for p in walked if "ex1_distilbert" in p or "judge" in p or p.endswith("/export.py")],
    said, [os.getuid(), os.geteuid(), os.getgid()], os.uname().nodename, sys.path, os.getcwd(),
]))
"""
    status, said = inside(code)
    assert status == 0, said
    seen, processes, environment, answers, told, ids, node, path, cwd = json.loads(said)
    assert seen == [] and answers == []
    assert len(processes) <= 2  # the sandbox's first process and this one
    assert "GRADEBOOK_KEY" not in environment and "secret" not in str(environment)
    told = told.replace(sys.prefix, "") if within else told
    assert str(tmp_path) not in told and str(ROOT) not in told and "secret" not in told
    assert ids == [1000, 1000, 1000] and node == "sandbox" and cwd == "/home/student"
    assert path[0] == "/course" and "" not in path


def test_an_installed_copy_of_the_course_is_not_seen(inside):
    """An editable install points at the repository, which is not there: imports find the pruned copy alone."""
    status, said = inside(
        "import importlib.util, helpers\n"
        "print(helpers.__file__, list(helpers.__path__))\n"
        "print([importlib.util.find_spec(f'helpers.{n}') for n in ('export', 'engine', 'runtime')])\n"
    )
    assert (status, said) == (0, "/course/helpers/__init__.py ['/course/helpers']\n[None, None, None]\n")


def test_masks_for_what_python_brings_with_it(monkeypatch, tmp_path):
    """A repository, or an installed copy of the course, inside a folder that must be shown for Python's sake."""
    packages = tmp_path / "lib" / "site-packages"
    (packages / "helpers" / "grading").mkdir(parents=True)
    monkeypatch.setattr(sys, "path", [str(packages)])
    assert sandbox._masks((tmp_path,)) == [packages / "helpers"]
    assert sandbox._masks((ROOT.parent,)) == [ROOT]
    with pytest.raises(SandboxError, match="Python's own folder is the repository"):
        sandbox._masks((ROOT,))
    monkeypatch.setattr(sys, "prefix", str(ROOT.parent))
    mounts = sandbox._mounts({}, Resources())
    at = mounts.index(str(ROOT))
    assert mounts[at - 1] == "--tmpfs" and mounts.index(str(ROOT.parent)) < at


# --- what may be done ---


def test_no_network(inside):
    listening = socket.create_server(("127.0.0.1", 0))
    code = f"""
import socket
for family, address in ((socket.AF_INET, ("127.0.0.1", {listening.getsockname()[1]})), (socket.AF_INET, ("1.1.1.1", 53)),
                        (socket.AF_UNIX, "/run/dbus/system_bus_socket")):
    try:
        socket.socket(family).connect(address)
        print("reached", address)
    except OSError as error:
        print(type(error).__name__)
print([name for _, name in socket.if_nameindex()])
"""
    with listening:
        status, said = inside(code)
    assert status == 0 and "reached" not in said and said.endswith("['lo']\n"), said


def test_home_is_writable_and_private_and_the_rest_is_not(inside):
    code = f"""
import os, pathlib, tempfile
print(sorted(n for n in os.listdir(pathlib.Path.home()) if not n.startswith(".")))
(pathlib.Path.home() / "a.txt").write_text("x")
tempfile.NamedTemporaryFile().write(b"x")
for path in ("/course/x", "/course/helpers/x", "/x", "/etc/x", "/usr/x", "/dev/x", {sys.prefix!r} + "/x", "/probe/x", "/home/x"):
    try:
        open(path, "w")
        print("wrote", path)
    except OSError:
        pass
for call in ("os.setuid(0)", "os.chroot('/tmp')", "os.unshare(os.CLONE_NEWUSER)"):
    try:
        eval(call)
        print("did", call)
    except (OSError, AttributeError):
        pass
"""
    for _ in range(2):  # nothing of the first run is there in the second
        assert inside(code) == (0, "[]\n")


def test_the_kernels_settings_cannot_be_opened_for_writing(inside):
    """A grader that is root owns the files of /proc/sys, and so does its sandboxed user; core_pattern runs programs."""
    code = """
import os
opened = []
for folder, _, files in os.walk("/proc/sys/kernel"):
    for name in files:
        try:
            os.close(os.open(os.path.join(folder, name), os.O_WRONLY))
            opened.append(name)
        except OSError:
            pass
for path in ("/proc/sysrq-trigger", "/proc/self/oom_score_adj", "/proc/sys/vm/drop_caches", "/proc/1/oom_score_adj"):
    try:
        os.close(os.open(path, os.O_WRONLY))
        opened.append(path)
    except OSError:
        pass
print(opened)
"""
    assert inside(code) == (0, "[]\n")


def test_libraries_work(inside):
    code = """
import getpass, multiprocessing.shared_memory, numpy, os
import torch, onnxruntime, tensorrt_rtx, matplotlib.pyplot as plt
print(getpass.getuser(), torch.ones(3, 4).matmul(torch.ones(4, 2)).sum().item(), onnxruntime.get_device(), os.cpu_count())
tensorrt_rtx.Builder(tensorrt_rtx.Logger())
plt.plot([1, 2]); plt.savefig("figure.png")
multiprocessing.shared_memory.SharedMemory(create=True, size=100).unlink()
from helpers import backend
backend.activate("simulator", quiet=True)
import tensorrt, pycuda.driver
"""
    status, said = inside(code)
    assert status == 0 and f"student 24.0 CPU {os.cpu_count()}" in said, said


def test_limits_hold(inside):
    code = """
import os, resource
try:
    bytearray(600 << 20)
    print("memory")
except MemoryError:
    pass
for folder in ("/home/student", "/tmp", "/dev/shm"):
    try:
        with open(folder + "/big", "wb") as file:
            for _ in range(40):
                file.write(bytes(1 << 20))
        print("file", folder)
    except OSError:
        os.unlink(folder + "/big")
    try:
        for i in range(5):
            with open(f"{folder}/{i}", "wb") as file:
                file.write(bytes(15 << 20))
        print("files", folder)
    except OSError:
        pass
try:
    kept = [open("/dev/null") for _ in range(100)]
    print("open files")
except OSError:
    pass
print(resource.getrlimit(resource.RLIMIT_CORE))
try:
    resource.setrlimit(resource.RLIMIT_DATA, (1 << 30, 1 << 30))
    print("raised the limit")
except (ValueError, OSError):
    pass
"""
    limits = Resources(memory=512 << 20, files=32 << 20, open_files=64, processes=20)
    assert inside("import signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n" + code, limits=limits) == (
        0,
        "(0, 0)\n",
    )


@pytest.mark.skipif(os.geteuid() == 0, reason="the kernel does not count the processes of root")
def test_processes_are_counted(inside):  # pragma: no cover - CI runs as root
    code = """
import subprocess
kept = []
try:
    for _ in range(50):
        kept.append(subprocess.Popen(["sleep", "60"]))
    print("started all")
except OSError:
    print("stopped")
"""
    assert inside(code, limits=Resources(processes=20)) == (0, "stopped\n")


def test_descriptors_arrive_and_the_end_is_seen(inside):
    ours, theirs = socket.socketpair()
    with ours:
        code = "import os, socket, sys\n"
        code += f"kept = socket.socket(fileno={theirs.fileno()}); kept.sendall(b'hello')\n"
        code += "print([n for n in range(100) if os.path.lexists(f'/proc/self/fd/{n}')])\n"
        status, said = inside(code, fds=[theirs.fileno()])
        assert status == 0 and json.loads(said) == [0, 1, 2, theirs.fileno()]
        theirs.close()
        assert ours.recv(9) == b"hello" and ours.recv(9) == b""


def test_all_of_it_ends_when_it_is_killed(system_program, course, tmp_path):
    system_program("bwrap", package="bubblewrap")
    ours, theirs = socket.socketpair()
    (tmp_path / "probe.py").write_text(
        "import subprocess, sys\n"
        "subprocess.Popen(['setsid', 'sleep', '600'], pass_fds=[int(sys.argv[1])])\n"
        "print(open(int(sys.argv[1]), 'wb', buffering=0, closefd=False).write(b'up'))\n"
        "import time; time.sleep(600)\n"
    )
    process = sandbox.start(
        "probe",
        [str(theirs.fileno())],
        course=course,
        fds=[theirs.fileno()],
        extra_read_only={"/probe": tmp_path},
        env={"PYTHONPATH": "/probe"},
    )
    theirs.close()
    with ours:
        ours.settimeout(30)
        assert ours.recv(2) == b"up"
        process.kill()
        assert process.wait(10) == -9
        assert ours.recv(2) == b""  # the last process that held the other end is gone


def test_it_ends_with_the_thread_that_started_it(system_program, course, tmp_path):
    system_program("bwrap", package="bubblewrap")
    (tmp_path / "probe.py").write_text("import time; time.sleep(600)\n")
    found = []

    def starting() -> None:
        settings = {"extra_read_only": {"/probe": tmp_path}, "env": {"PYTHONPATH": "/probe"}}
        found.append(sandbox.start("probe", [], course=course, **settings))
        time.sleep(0.5)

    thread = threading.Thread(target=starting)
    thread.start()
    thread.join()
    assert found[0].wait(20) != 0


# --- whether it works ---


def test_it_works_here(system_program):
    system_program("bwrap", package="bubblewrap")
    sandbox.check()


def test_where_it_cannot_work_the_remedy_is_said(monkeypatch, tmp_path):
    monkeypatch.setattr(sys, "platform", "darwin")
    with pytest.raises(SandboxError, match=r"which darwin does not have.*WSL2"):
        sandbox.check()
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SandboxError, match="apt-get install bubblewrap"):
        sandbox.check()
    with pytest.raises(SandboxError, match="apt-get install bubblewrap"):
        sandbox.start("probe", [], course=tmp_path)


def test_a_refusal_of_bubblewraps_own_is_passed_on(monkeypatch, system_program):
    system_program("bwrap", package="bubblewrap")
    monkeypatch.setattr(sandbox, "_system", lambda: ["--ro-bind", "/no/such/folder", "/x"])
    with pytest.raises(SandboxError, match="does not work here: bwrap: Can't find source path /no/such/folder"):
        sandbox.check()


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"/proc/sys/user/max_user_namespaces": "0"}, "sysctl user.max_user_namespaces"),
        ({"/proc/sys/kernel/unprivileged_userns_clone": "0"}, "sysctl kernel.unprivileged_userns_clone=1"),
        ({"/proc/sys/kernel/apparmor_restrict_unprivileged_userns": "1"}, "bwrap-userns-restrict"),
        ({}, "--security-opt systempaths=unconfined"),
    ],
)
def test_remedies_by_what_the_machine_says(settings, words):
    assert words in sandbox._remedy(lambda path: settings.get(path, ""))
