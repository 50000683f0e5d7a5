"""Hugging Face models from a local folder, as modules whose outputs are tensors.

Imports transformers at the top: import this module only where such a model is at hand.
"""

import contextlib
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
import transformers
from torch import nn
from transformers import AutoConfig, PretrainedConfig, PreTrainedModel

from hamerspace._text import few, first_line
from hamerspace.errors import SourceError

CONFIG_FILE = "config.json"


def read_config(folder: Path) -> PretrainedConfig:
    """The configuration in a folder, with everything off that adds no tensor to the outputs.

    Raises:
        SourceError: It cannot be read, or is of an architecture that transformers does not know.
    """
    try:
        config = AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    except Exception as error:
        raise SourceError(
            f"{folder / CONFIG_FILE} cannot be read by transformers {transformers.__version__}: "
            f"{first_line(error)}"
        ) from error
    config.return_dict = True
    config.output_hidden_states = False
    config.output_attentions = False
    # A cache is for decoding step by step, and is no tensor.
    config.use_cache = False
    return config


def model_class(config: PretrainedConfig, folder: Path) -> type[PreTrainedModel]:
    """The class that the configuration names first under ``architectures``.

    Raises:
        SourceError: It names none, or one that is not in transformers.
    """
    names = config.architectures or []
    if not names:
        raise SourceError(
            f"{folder / CONFIG_FILE} names no 'architectures', so the class of the model is not "
            "known; save the model with save_pretrained, or give a 'builder'"
        )
    found = getattr(transformers, names[0], None)
    if not isinstance(found, type) or not issubclass(found, PreTrainedModel):
        raise SourceError(
            f"{folder}: {names[0]} is not in transformers {transformers.__version__}; for a model "
            "with code of its own give a 'builder' (module:function) that makes it"
        )
    return found


def build_module(folder: Path, dtype: str) -> nn.Module:
    """The model that the configuration in ``folder`` describes, weights not loaded.

    Args:
        folder: Holds ``config.json``.
        dtype: Of the weights, such as ``float32``.
    """
    config = read_config(folder)
    before = torch.get_default_dtype()
    torch.set_default_dtype(getattr(torch, dtype))
    try:
        module: nn.Module = model_class(config, folder)(config)
    finally:
        torch.set_default_dtype(before)
    return module.eval()


def load_pretrained(folder: Path, *, safetensors: bool) -> nn.Module:
    """The model of ``folder`` with its weights, in the precision in which they are stored.

    Args:
        folder: As ``save_pretrained`` wrote it.
        safetensors: Whether the weights are safetensors; the alternative are pickles.

    Raises:
        SourceError: It cannot be loaded, or weights are missing or of another shape.
    """
    config = read_config(folder)
    kind: Any = model_class(config, folder)
    with _quiet():
        try:
            module, info = kind.from_pretrained(
                folder,
                config=config,
                dtype="auto",
                local_files_only=True,
                use_safetensors=safetensors,
                output_loading_info=True,
                ignore_mismatched_sizes=True,
            )
        except Exception as error:
            raise SourceError(
                f"{folder} cannot be loaded by transformers {transformers.__version__}: "
                f"{type(error).__name__}: {first_line(error)}"
            ) from error
    _refuse_gaps(folder, info)
    made: nn.Module = module.eval()
    return made


def _refuse_gaps(folder: Path, info: dict[str, Any]) -> None:
    missing = sorted(info["missing_keys"])
    # Name, shape in the file, shape in the model.
    misshaped = sorted(str(entry[0]) for entry in info["mismatched_keys"])
    for what, names in (("lack", missing), ("have another shape for", misshaped)):
        if names:
            raise SourceError(
                f"the weights in {folder} {what} {few(names)}; "
                "'architectures' in its config.json must name the model that was trained"
            )


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep transformers from drawing progress bars and from warning of what is refused here."""
    level = transformers.logging.get_verbosity()
    bars = transformers.logging.is_progress_bar_enabled()
    transformers.logging.set_verbosity(logging.CRITICAL)
    transformers.logging.disable_progress_bar()
    try:
        yield
    finally:
        transformers.logging.set_verbosity(level)
        if bars:
            transformers.logging.enable_progress_bar()
