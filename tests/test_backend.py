"""Choosing and activating a backend, in processes of their own."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest


def run(code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env={**os.environ, **environment}, timeout=60
    )


def test_one_line_says_which_and_why():
    done = run(
        "from helpers import backend; b = backend.activate(); print(b.name, b.simulated)", TRT_BACKEND="simulator"
    )
    line, answer = done.stdout.strip().splitlines()
    assert line.startswith("TensorRT backend: simulator") and "NVIDIA's" in line and "TRT_BACKEND=simulator" in line
    assert answer == "simulator True"


def test_the_seeds_imports_work_in_any_order():
    done = run(
        "from helpers import backend; backend.activate('simulator', quiet=True)\n"
        "import pycuda.autoinit\nimport pycuda.driver as cuda\nimport tensorrt as trt\nimport pycuda.autoprimaryctx\n"
        "from pycuda import driver\nassert driver is cuda and cuda.mem_alloc(8)\n"
        "print(trt.Logger, trt.__version__)"
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""


def test_nvidias_bindings_are_the_simulators_too():
    done = run(
        "from helpers import backend; backend.activate('simulator', quiet=True)\n"
        "import cuda.bindings.driver, cuda.bindings.runtime as cudart\nfrom cuda.bindings import driver, runtime\n"
        "import ctypes, importlib.util\n"
        "assert cudart is runtime and cuda.bindings.driver is driver and importlib.util.find_spec('cuda.bindings')\n"
        "err, address = cudart.cudaMalloc(64)\n"
        "print(err, address > 0, ctypes.CDLL('libcudart.so').cudaFree(ctypes.c_void_p(address)))"
    )
    assert done.stdout.split("\n")[0] == "<cudaError_t.cudaSuccess: 0> True 0", done.stderr


def test_a_program_that_took_the_bindings_first_is_told():
    first = (
        "import sys, types\n"
        "for name in ('bindings', 'bindings.runtime'): sys.modules['cuda.' + name] = types.ModuleType('cuda.' + name)\n"
        "{}\nfrom helpers import backend; backend.activate('simulator', quiet=True); import cuda.bindings.runtime as r\n"
        "print(r.cudaMalloc(8)[0])"
    )
    done = run(first.format("cudart = sys.modules['cuda.bindings.runtime']"))
    assert "'cuda.bindings.runtime' was imported before backend.activate()" in done.stderr
    assert "<cudaError_t.cudaSuccess: 0>" in run(first.format("")).stdout  # a library took them: no harm


def test_pytorch_imports_afterwards():
    done = run(
        "from helpers import backend; backend.activate('simulator', quiet=True)\n"
        "import importlib.util; assert importlib.util.find_spec('tensorrt') and importlib.util.find_spec('pycuda')\n"
        "import torch._dynamo"
    )
    assert done.returncode == 0, done.stderr


def test_activating_twice_keeps_the_device():
    done = run(
        "from helpers import backend; a = backend.activate('simulator', quiet=True)\n"
        "from helpers.simulator import host; h = host.current()\n"
        "assert backend.activate() is a is backend.current() and host.current() is h"
    )
    assert done.returncode == 0 and done.stdout.count("TensorRT backend") == 1, done.stderr


def test_unknown_backend_is_a_clear_error():
    done = run("from helpers import backend; backend.activate('cudnn')")
    assert done.returncode == 1 and "'cudnn'" in done.stderr and "simulator" in done.stderr


def test_backend_that_cannot_run_here_is_a_clear_error():
    done = run("from helpers import backend; backend.activate('tensorrt')", CUDA_VISIBLE_DEVICES="")
    assert done.returncode == 1 and "BackendUnavailable" in done.stderr


def test_import_before_activation_is_a_clear_error():
    done = run(
        "import sys, types; sys.modules['tensorrt'] = types.ModuleType('tensorrt')\n"
        "from helpers import backend; backend.activate('simulator')"
    )
    assert "was imported before backend.activate()" in done.stderr and "Restart the kernel" in done.stderr


def test_front_ends_import_without_onnxruntime():
    done = run(
        "import sys; sys.modules['onnxruntime'] = None\n"
        "from helpers.simulator.frontends.pycuda import driver, autoinit\n"
        "import numpy as np; a = driver.to_device(np.ones(2, np.float32))\n"
        "print(driver.from_device(a, 2, np.float32))\n"
        "from helpers.simulator.host import current; print(current().device.engine_load(b'TRTCPLAN'))"
    )
    assert "[1. 1.]" in done.stdout, done.stderr


def test_a_plan_without_onnxruntime_is_a_clear_error(tmp_path):
    done = run(
        "from helpers import backend; backend.activate('simulator', quiet=True)\n"
        "import sys; sys.modules['onnxruntime'] = None\n"
        "import tensorrt as trt, onnx; L = trt.Logger(); b = trt.Builder(L); n = b.create_network(0)\n"
        "text = '<ir_version: 10, opset_import: [\"\": 20]> g (float[4] x) => (float[4] y) { y = Mul(x, x) }'\n"
        "assert trt.OnnxParser(n, L).parse(onnx.parser.parse_model(text).SerializeToString())\n"
        "plan = b.build_serialized_network(n, b.create_builder_config())\n"
        "print(trt.Runtime(L).deserialize_cuda_engine(plan))"
    )
    assert "None" in done.stdout and "ONNX Runtime is not installed" in done.stdout + done.stderr, done.stderr


def test_explain_and_record_without_a_backend():
    done = run(
        "import numpy as np; from helpers import backend; print(backend.explain(np.zeros(1)), backend.current())"
    )
    assert "synchronise the stream before you read" in done.stdout and "None" in done.stdout


def test_pending_copies_are_named_at_the_end_of_a_cell():
    pytest.importorskip("IPython")
    cell = (
        "import numpy as np\nimport pycuda.driver as cuda, pycuda.autoprimaryctx\n"
        "s = cuda.Stream(); a = cuda.pagelocked_empty(2, np.float32); d = cuda.to_device(np.ones(2, np.float32))\n"
        "cuda.memcpy_dtoh_async(a, d, s)"
    )
    done = run(
        "from IPython.core.interactiveshell import InteractiveShell as Shell\nshell = Shell.instance();"
        ' shell.run_cell(\'from helpers import backend; backend.activate("simulator",'
        f" quiet=True)')\nshell.run_cell({cell!r}); shell.run_cell('1 + 1'); shell.run_cell('s.synchronize();"
        " print(a)')"
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("pending at the end of this cell: copy device to host, 8 bytes, on stream") == 1
    assert "[1. 1.]" in done.stdout
