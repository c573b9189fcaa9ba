"""What the device refuses, in the driver's words."""

from __future__ import annotations

# CUresult names and the driver's texts (cuGetErrorString)
ERROR_TEXTS = {
    "CUDA_ERROR_INVALID_VALUE": "invalid argument",
    "CUDA_ERROR_OUT_OF_MEMORY": "out of memory",
    "CUDA_ERROR_INVALID_HANDLE": "invalid resource handle",
    "CUDA_ERROR_NOT_READY": "device not ready",
    "CUDA_ERROR_ILLEGAL_ADDRESS": "an illegal memory access was encountered",
    "CUDA_ERROR_LAUNCH_FAILED": "unspecified launch failure",
    "CUDA_ERROR_NOT_INITIALIZED": "initialization error",
    "CUDA_ERROR_UNKNOWN": "unknown error",
}


class DeviceError(Exception):
    """An operation that the device refused.

    Attributes:
        code: the CUresult that a GPU gives, or would give at the next synchronisation.
        detail: what was wrong, what was expected, and what to do.
    """

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(f"{ERROR_TEXTS.get(code, code)}: {detail}")
        self.code = code
        self.detail = detail
