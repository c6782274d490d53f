"""Published checkpoints into weights files.

A PyTorch checkpoint is a pickle, and unpickling can run any code. Only tensors, plain containers and the training options
that released checkpoints carry are let through, unless the caller says that the file is to be trusted.
"""

import argparse
import json
import pickle
import struct
import warnings
import zipfile
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vidpc.errors import WeightsError, unknown_name

from . import files, pct, point_transformer, sttn, timesformer, torchvision_video, transtrack, vidtr

if TYPE_CHECKING:
    import torch

Converter = Callable[..., tuple[dict[str, "torch.Tensor"], dict[str, Any]]]

# layout -> entries of the checkpoint into our tensors, and the metadata of their file: architecture, config, labels, input
LAYOUTS: dict[str, Converter] = {
    "transtrack": transtrack.convert,
    "pct": pct.convert,
    "point-transformer": point_transformer.convert,
    "pointcept-ptv1": point_transformer.convert_pointcept,
    "timesformer": timesformer.convert,
    "timesformer-hf": timesformer.convert_hugging_face,
    "timesformer-image": timesformer.convert_image,
    "vidtr": vidtr.convert,
    "sttn": sttn.convert,
    "torchvision": torchvision_video.convert,
}

# Where training programs put a network's entries beside their own state.
_WRAPPERS = ("model", "state_dict", "model_state", "netG")

# What the training of STTN writes beside the network, by an entry that tells it.
_BESIDE = {"netD": "the discriminator", "optimG": "the state of the optimisers"}

# What released checkpoints hold beside tensors, and what it becomes: yacs' settings of VidTr are dictionaries at heart.
_SETTINGS: list[Any] = [argparse.Namespace, (OrderedDict, "yacs.config.CfgNode")]

# What a damaged checkpoint can make zipfile and torch.load raise. UnpicklingError is what a forbidden one raises.
_DAMAGE = (
    RuntimeError,
    EOFError,
    LookupError,
    ValueError,
    TypeError,
    AttributeError,
    OSError,
    MemoryError,
    struct.error,
    zipfile.BadZipFile,
)


def convert(
    source: Path, out: Path, *, layout: str, licence: str = "unknown", origin: str = "", allow_pickle: bool = False
) -> files.Header:
    """Writes the checkpoint ``source`` as the weights file ``out`` and returns its header. Raises ``WeightsError``."""
    if layout not in LAYOUTS:
        raise WeightsError(unknown_name("layout", layout, LAYOUTS))
    source_sha256 = files.sha256(source)
    checkpoint = load_checkpoint(source, allow_pickle=allow_pickle)
    tensors, described = LAYOUTS[layout](checkpoint, owner=str(source))
    files.check_finite(tensors, owner=str(source))
    metadata = {key: value if isinstance(value, str) else json.dumps(value) for key, value in described.items()}
    metadata |= {"licence": licence, "source": origin or source.name, "source_sha256": source_sha256, "layout": layout}
    files.write(out, tensors, metadata)
    return files.read_header(out)


def load_checkpoint(path: Path, *, allow_pickle: bool = False) -> dict[str, "torch.Tensor"]:
    """The named tensors of a PyTorch checkpoint, or of a plain safetensors file. Raises ``WeightsError``."""
    if path.suffix == ".safetensors":
        return _load_safetensors(path)
    _refuse_inflation(path)
    content = _unpickle(path, allow_pickle=allow_pickle)
    state = next((content[key] for key in _WRAPPERS if key in content), content) if isinstance(content, dict) else content
    import torch

    if isinstance(state, dict) and (beside := next((_BESIDE[key] for key in _BESIDE if key in state), None)):
        raise WeightsError(f"{path}: {beside} of a training of STTN, not the network; convert the gen_*.pth beside it")
    if not isinstance(state, dict) or not any(isinstance(value, torch.Tensor) for value in state.values()):
        raise WeightsError(f"{path}: no named tensors in it, neither at the top nor under {' or '.join(map(repr, _WRAPPERS))}")
    return {str(name): value for name, value in state.items() if isinstance(value, torch.Tensor)}


def _unpickle(path: Path, *, allow_pickle: bool) -> Any:
    import torch

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch warns of what it reads or refuses right after
            if allow_pickle:
                return torch.load(path, map_location="cpu", weights_only=False)
            with torch.serialization.safe_globals(_SETTINGS):
                return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        reason = next((f" ({line.strip()})" for line in str(error).splitlines() if "GLOBAL" in line), "")
        raise WeightsError(
            f"{path}: refused: it is damaged or holds more than tensors{reason}; unpickling that can "
            "run any code; pass --allow-pickle only if you trust whoever made the file"
        ) from error
    except _DAMAGE as error:
        raise WeightsError(f"{path}: not a readable PyTorch checkpoint: {error}") from error


def _load_safetensors(path: Path) -> dict[str, "torch.Tensor"]:
    import safetensors
    import safetensors.torch

    try:
        return dict(safetensors.torch.load(path.read_bytes()))
    except (safetensors.SafetensorError, OSError) as error:
        raise WeightsError(f"{path}: not a readable safetensors file: {error}") from error


def _refuse_inflation(path: Path) -> None:
    """Checkpoints are zip files whose members are stored; one that would grow when it is read is not from torch."""
    if not zipfile.is_zipfile(path):
        return
    try:
        with zipfile.ZipFile(path) as archive:
            inflated = sum(member.file_size for member in archive.infolist())
    except _DAMAGE as error:
        raise WeightsError(f"{path}: not a readable PyTorch checkpoint: {error}") from error
    if inflated > path.stat().st_size:
        raise WeightsError(f"{path}: refused: {path.stat().st_size} bytes that would become {inflated}")
