"""Optimization profiles and the builder's configuration."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .enums import ENUMS, Severity
from .network import ITimingCache
from .objects import Native, variable
from .types import Dims, incompatible, index

BuilderFlag = ENUMS["BuilderFlag"]
MemoryPoolType = ENUMS["MemoryPoolType"]
PreviewFeature = ENUMS["PreviewFeature"]
ComputeCapability = ENUMS["ComputeCapability"]

# TensorRT-RTX's own; WORKSPACE and TACTIC_DRAM are a size that no GPU has, and mean all of its memory
_POOLS = {
    "WORKSPACE": 64 << 30,
    "DLA_MANAGED_SRAM": 0,
    "DLA_LOCAL_DRAM": 1 << 30,
    "DLA_GLOBAL_DRAM": 512 << 20,
    "TACTIC_DRAM": 64 << 30,
    "TACTIC_SHARED_MEMORY": 1 << 30,
}
Triple = tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]


class IOptimizationProfile(Native):
    """Ranges of the shapes of dynamic inputs, and of the values of inputs that are shapes."""

    profile_stream = variable("profile_stream", 0)

    def __init__(self, log: Any) -> None:
        self._log = log
        self._shapes: dict[str, Triple] = {}
        self._values: dict[str, Triple] = {}
        self._extra = 1.0

    def _error(self, where: str, code: int, text: str) -> None:
        self._log(Severity.ERROR, f"IOptimizationProfile::{where}: Error Code {code}: API Usage Error ({text})")

    def set_shape(self, input: str, min: Any, opt: Any, max: Any) -> None:
        """Give the input its three shapes. RuntimeError for a negative dimension."""
        signature = "set_shape(self, input: str, min: tensorrt.Dims, opt: tensorrt.Dims, max: tensorrt.Dims) -> None"
        try:
            low, best, high = (tuple(Dims(shape)) for shape in (min, opt, max))
        except (TypeError, ValueError):
            raise incompatible(signature, input, min, opt, max) from None
        for end, dims in (("min", low), ("opt", best), ("max", high)):
            if any(d < 0 for d in dims):
                self._error(
                    "setDimensions",
                    3,
                    "Parameter check failed, condition: std::all_of(dims.d, dims.d + dims.nbDims, [](int32_t x)"
                    " noexcept { return x >= 0; }).",
                )
                raise RuntimeError(f"Shape provided for {end} is inconsistent with other shapes.")
        self._shapes[input] = (low, best, high)

    def get_shape(self, input: str) -> list[Dims]:
        """[min, opt, max]; empty, and an ERROR line, for an input that was not given."""
        if input not in self._shapes:
            self._error(
                "getDimensions",
                4,
                f"Cannot get dimensions for input: {input}. Input is not present in this OptimizationProfile",
            )
            return []
        return [Dims(shape) for shape in self._shapes[input]]

    def set_shape_input(self, input: str, min: Any, opt: Any, max: Any) -> None:
        """Give the values of an input that is a shape. RuntimeError where they are not min <= opt <= max."""
        signature = (
            "set_shape_input(self, input: str, min: Sequence[int], opt: Sequence[int], max: Sequence[int]) -> None"
        )
        low, best, high = (tuple(index(v, signature) for v in values) for values in (min, opt, max))
        self._values[input] = (low, best, high)
        if not _ordered(self._values[input]):
            self._error(
                "setShapeValuesV2",
                3,
                "Parameter check failed, condition: validate(mThreadResources.getErrorRecorder(), newEntry, true).",
            )
            raise RuntimeError("opt input provided for shape tensor is inconsistent with other inputs.")

    def get_shape_input(self, input: str) -> list[list[int]]:
        return [list(values) for values in self._values.get(input, ())]

    @property
    def extra_memory_target(self) -> float:
        return self._extra

    @extra_memory_target.setter
    def extra_memory_target(self, value: float) -> None:
        if 0 <= value <= 1:
            self._extra = float(value)
        else:
            self._error("setExtraMemoryTarget", 3, "Parameter check failed, condition: target >= 0.F && target <= 1.F.")

    def __bool__(self) -> bool:
        wrong = [name for name, shapes in (*self._shapes.items(), *self._values.items()) if not _ordered(shapes)]
        if wrong:
            self._error(
                "isValid",
                4,
                f"Invalid optimization profiles for input tensors {', '.join(wrong)}, please ensure that the"
                " optimization profiles satisfy MIN<=OPT<=MAX.",
            )
        return not wrong


def _ordered(shapes: Triple) -> bool:
    low, best, high = shapes
    return len(low) == len(best) == len(high) and all(a <= b <= c for a, b, c in zip(low, best, high, strict=True))


def _enumeration(name: str, member: str) -> property:
    return variable(name, getattr(ENUMS[_KINDS[name]], member))


_KINDS = {
    "profiling_verbosity": "ProfilingVerbosity",
    "engine_capability": "EngineCapability",
    "tiling_optimization_level": "TilingOptimizationLevel",
    "default_device_type": "DeviceType",
}


class IBuilderConfig(Native):
    """What `Builder.create_builder_config` makes."""

    profiling_verbosity = _enumeration("profiling_verbosity", "LAYER_NAMES_ONLY")
    engine_capability = _enumeration("engine_capability", "STANDARD")
    tiling_optimization_level = _enumeration("tiling_optimization_level", "NONE")
    default_device_type = _enumeration("default_device_type", "GPU")
    max_aux_streams = variable("max_aux_streams", -1)
    max_num_tactics = variable("max_num_tactics", -1)
    avg_timing_iterations = variable("avg_timing_iterations", 1)
    l2_limit_for_tiling = variable("l2_limit_for_tiling", 0)
    profile_stream = variable("profile_stream", 0)
    plugins_to_serialize = variable("plugins_to_serialize", [])
    progress_monitor = variable("progress_monitor", None)
    num_optimization_profiles = property(lambda self: len(self._profiles))
    all_build_routes = property(lambda self: "")
    # these take a value and keep none on TensorRT-RTX
    build_route = property(lambda self: "", lambda self, value: None)
    DLA_core = property(lambda self: -1, lambda self, value: None)

    def __init__(self, log: Any) -> None:
        self._log = log
        self.reset()

    def reset(self) -> None:
        """Back to a new config: profiles, flags and sizes are forgotten."""
        log = self._log
        self.__dict__.clear()
        self._log = log
        self._profiles: list[IOptimizationProfile] = []
        self._flags = 1 << int(BuilderFlag.TF32)
        self._pools = dict(_POOLS)
        self._previews: set[int] = set()
        self._tactics = 3
        self._level = 3
        self._capabilities: list[Any] = []

    def _error(self, where: str, text: str) -> None:
        self._log(
            Severity.ERROR,
            f"IBuilderConfig::{where}: Error Code 3: API Usage Error (Parameter check failed, condition: {text})",
        )

    def add_optimization_profile(self, profile: IOptimizationProfile | None) -> int:
        """The profile's index, or -1 and ERROR lines where it is not min <= opt <= max."""
        if profile is not None and not isinstance(profile, IOptimizationProfile):
            raise incompatible("add_optimization_profile(self, profile: tensorrt.IOptimizationProfile) -> int", profile)
        if profile is None or not profile:
            self._error(
                "addOptimizationProfile", "profile->isValid()." if profile is not None else "profile != nullptr."
            )
            return -1
        self._profiles.append(profile)
        return len(self._profiles) - 1

    # --- flags ---

    @property
    def flags(self) -> int:
        return self._flags

    @flags.setter
    def flags(self, value: int) -> None:
        self._flags = index(value, "flags: int")

    def set_flag(self, flag: Any) -> None:
        _need(flag, BuilderFlag, "set_flag(self, flag: tensorrt.BuilderFlag) -> None")
        lean = flag == BuilderFlag.EXCLUDE_LEAN_RUNTIME
        if lean and not self.get_flag(BuilderFlag.VERSION_COMPATIBLE):
            self._error(
                "setFlag",
                "builderFlag != BuilderFlag::kEXCLUDE_LEAN_RUNTIME || flags[BuilderFlag::kVERSION_COMPATIBLE]."
                " kEXCLUDE_LEAN_RUNTIME can only be set if kVERSION_COMPATIBLE is set.",
            )
            return
        self._flags |= 1 << int(flag)

    def clear_flag(self, flag: Any) -> None:
        _need(flag, BuilderFlag, "clear_flag(self, flag: tensorrt.BuilderFlag) -> None")
        self._flags &= ~(1 << int(flag))

    def get_flag(self, flag: Any) -> bool:
        _need(flag, BuilderFlag, "get_flag(self, flag: tensorrt.BuilderFlag) -> bool")
        return bool(self._flags >> int(flag) & 1)

    def set_preview_feature(self, feature: Any, enable: bool) -> None:
        signature = "set_preview_feature(self, feature: tensorrt.PreviewFeature, enable: bool) -> None"
        _need(feature, PreviewFeature, signature)
        (self._previews.add if enable else self._previews.discard)(int(feature))

    def get_preview_feature(self, feature: Any) -> bool:
        _need(feature, PreviewFeature, "get_preview_feature(self, feature: tensorrt.PreviewFeature) -> bool")
        return int(feature) in self._previews

    def get_tactic_sources(self) -> int:
        return self._tactics

    def set_tactic_sources(self, tactic_sources: int) -> bool:
        self._tactics = index(tactic_sources, "set_tactic_sources(self, tactic_sources: int) -> bool")
        return True

    @property
    def builder_optimization_level(self) -> int:
        return self._level

    @builder_optimization_level.setter
    def builder_optimization_level(self, value: int) -> None:
        self._level = min(max(index(value, "builder_optimization_level: int"), 0), 5)

    @property
    def hardware_compatibility_level(self) -> Any:
        self._log(Severity.WARNING, "getHardwareCompatibilityLevel() is unsupported in TensorRT-RTX.")
        return ENUMS["HardwareCompatibilityLevel"].NONE

    @hardware_compatibility_level.setter
    def hardware_compatibility_level(self, value: Any) -> None:
        self._log(Severity.WARNING, "setHardwareCompatibilityLevel() is unsupported in TensorRT-RTX.")

    @property
    def runtime_platform(self) -> Any:
        return ENUMS["RuntimePlatform"].SAME_AS_BUILD

    @runtime_platform.setter
    def runtime_platform(self, value: Any) -> None:
        if value != ENUMS["RuntimePlatform"].SAME_AS_BUILD:
            self._error(
                "setRuntimePlatform",
                "runtimePlatform != RuntimePlatform::kWINDOWS_AMD64. This version of TensorRT does not support building"
                " engines on platforms other than Linux x86_64 when the runtime platform is set to Windows x86_64.",
            )

    # --- memory ---

    def set_memory_pool_limit(self, pool: Any, pool_size: int) -> None:
        signature = "set_memory_pool_limit(self, pool: tensorrt.MemoryPoolType, pool_size: int) -> None"
        _need(pool, MemoryPoolType, signature)
        if index(pool_size, signature) < 0:
            raise incompatible(signature, pool, pool_size)
        if pool.name.startswith("DLA"):
            text = "false. Setting DLA memory pool size on TensorRT build with DLA disabled."
            self._error("setMemoryPoolLimit", text)
            return
        self._pools[pool.name] = int(pool_size)

    def get_memory_pool_limit(self, pool: Any) -> int:
        _need(pool, MemoryPoolType, "get_memory_pool_limit(self, pool: tensorrt.MemoryPoolType) -> int")
        return self._pools[pool.name]

    # --- targets ---

    @property
    def num_compute_capabilities(self) -> int:
        return len(self._capabilities)

    @num_compute_capabilities.setter
    def num_compute_capabilities(self, value: int) -> None:
        if index(value, "num_compute_capabilities: int") < 0:
            text = "nbComputeCapabilities >= 0. Number of compute capabilities must be non-negative."
            self._error("setNbComputeCapabilities", text)
            raise ValueError("Provided number of compute capabilities is incorrect")
        self._capabilities = (self._capabilities + [None] * value)[:value]

    def set_compute_capability(self, compute_capability: Any, index: int) -> bool:
        """True where the target with this index is one that can be built for."""
        _need(
            compute_capability,
            ComputeCapability,
            "set_compute_capability(self, compute_capability: tensorrt.ComputeCapability, index: int) -> bool",
        )
        where = "setComputeCapability"
        if not 0 <= index < len(self._capabilities):
            self._error(where, _OUT_OF_RANGE)
        elif compute_capability == ComputeCapability.NONE:
            text = "computeCapability != ComputeCapability::kNONE. Compute capability cannot be kNONE."
            self._error(where, text)
        elif compute_capability == ComputeCapability.CURRENT and len(self._capabilities) != 1:
            self._error(
                where,
                "(index == 0) && (mConfig.computeCapabilities.size() == 1). When set to kCURRENT, the index must be 0"
                " and the number of compute capabilities must be 1.",
            )
        else:
            self._capabilities[index] = compute_capability
            return True
        return False

    def get_compute_capability(self, index: int) -> Any:
        if not 0 <= index < len(self._capabilities):
            self._error("getComputeCapability", _OUT_OF_RANGE)
            return ComputeCapability.NONE
        return self._capabilities[index] or ComputeCapability.NONE

    # --- timing cache: TensorRT-RTX keeps none ---

    def create_timing_cache(self, serialized_timing_cache: Any) -> ITimingCache:
        return ITimingCache()

    def set_timing_cache(self, cache: ITimingCache, ignore_mismatch: bool) -> bool:
        return True

    def get_timing_cache(self) -> None:
        return None


_OUT_OF_RANGE = (
    "index >= 0 && index < std::ssize(mConfig.computeCapabilities). Index of compute capability is not in a valid"
    " range."
)


def _need(value: Any, kind: Any, signature: str) -> None:
    if not isinstance(value, kind):
        raise incompatible(signature, value)


def settings(config: IBuilderConfig) -> Mapping[str, Any]:
    """What the config says, as plain data: enough to build the same plan again."""
    return {
        "flags": [f.name for f in BuilderFlag.__members__.values() if config.get_flag(f)],
        "memory_pools": dict(config._pools),
        "compute_capabilities": [c.name for c in config._capabilities],
        "preview_features": [f.name for f in PreviewFeature.__members__.values() if config.get_preview_feature(f)],
        "tactic_sources": config.get_tactic_sources(),
        "builder_optimization_level": config.builder_optimization_level,
        "max_aux_streams": config.max_aux_streams,
        "tiling_optimization_level": config.tiling_optimization_level.name,
        "profiling_verbosity": config.profiling_verbosity.name,
        "hardware_compatibility_level": "NONE",
        "runtime_platform": "SAME_AS_BUILD",
        "engine_capability": config.engine_capability.name,
        "max_num_tactics": config.max_num_tactics,
    }
