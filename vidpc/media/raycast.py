"""Rays against triangles, by open3d's ray casting. The home of open3d, which is loaded only when a scene is opened."""

import ctypes
import logging
from collections.abc import Callable
from typing import Any

import numpy as np

from vidpc.errors import DeviceError
from vidpc.types import F32, I64

_log = logging.getLogger(__name__)

# origins f32[n 3], directions f32[n 3] -> distance f32[n] in lengths of the direction (inf: nothing hit), triangle i64[n] (-1)
Cast = Callable[[F32, F32], tuple[F32, I64]]

# What open3d takes from the system, and the Debian package that has it. libusb is not among them: a wheel carries it.
_SYSTEM = {
    "libGL.so.1": "libgl1",
    "libEGL.so.1": "libegl1",
    "libX11.so.6": "libx11-6",
    "libudev.so.1": "libudev1",
    "libgomp.so.1": "libgomp1",
}


def load_open3d() -> Any:
    """The open3d module. Raises ``DeviceError`` that names what the system lacks, and the package to install."""
    _load_libusb()
    try:
        import open3d
    except ImportError as error:
        raise DeviceError(missing_library(str(error))) from error
    return open3d


def missing_library(reason: str) -> str:
    """What to tell the user when open3d cannot be loaded for ``reason``."""
    for library, package in _SYSTEM.items():
        if library in reason:
            return f"loading open3d: the system lacks {library}; on Debian and Ubuntu: apt install {package}"
    return f"loading open3d: {reason}"


def open_scene(corners: F32) -> Cast:
    """What casts rays against triangles f32[m 3 3]: the nearest hit of every ray, from either side."""
    open3d = load_open3d()
    scene = open3d.t.geometry.RaycastingScene()
    vertices = np.ascontiguousarray(corners.reshape(-1, 3), np.float32)
    indices = np.arange(len(vertices), dtype=np.uint32).reshape(-1, 3)
    scene.add_triangles(open3d.core.Tensor(vertices), open3d.core.Tensor(indices))

    def cast(origins: F32, directions: F32) -> tuple[F32, I64]:
        rays = np.concatenate([origins, directions], axis=1, dtype=np.float32)  # f32[n 6]
        hit = scene.cast_rays(open3d.core.Tensor(rays))
        distance: F32 = hit["t_hit"].numpy()
        triangle = np.where(np.isfinite(distance), hit["primitive_ids"].numpy().astype(np.int64), -1)
        return distance, triangle

    return cast


def _load_libusb() -> None:
    """open3d links against libusb, which many machines lack; the wheel libusb-package has it under the right name."""
    try:
        import libusb_package

        ctypes.CDLL(str(libusb_package.get_library_path()), mode=ctypes.RTLD_GLOBAL)
    except (ImportError, OSError) as error:  # the system may have its own
        _log.debug("no libusb from its wheel: %s", error)
