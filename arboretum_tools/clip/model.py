"""A CLIP model: its weights, the text features of classes, and how similar photos are to them.

The protocol is that of BioCLIP (arXiv 2311.18803) and Arboretum (arXiv 2406.17720). Alone knows open_clip.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import open_clip
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 - the name that everybody uses
from torch.utils.data import DataLoader

from arboretum_tools.errors import BadInputError, TrainingError, UsageError
from arboretum_tools.subset import Subset
from arboretum_tools.system.atomic_files import read_json, sha256_of_file
from arboretum_tools.training.loop import out_of_memory
from arboretum_tools.wording import counted, did_you_mean, one_line

# Models that come with their weights.
_WHOLE = ("hf-hub:", "local-dir:")

#: The 80 sentences of CLIP around a name.
OPENAI_TEMPLATES = open_clip.OPENAI_IMAGENET_TEMPLATES


class Clip:
    """A model with its weights, in eval mode and float32.

    Attributes:
        description: which one it is, for the file beside its predictions.
        cut: sentences so far that are longer than what the model reads.

    Args:
        model: a name or a JSON file, as `zero_shot` takes it.
        pretrained: a name or a checkpoint; None where the model comes with its weights.
        device: where it works.

    Raises:
        BadInputError: a file is not what it should be.
        UsageError: open_clip has no such model, or no such weights for it.
        TrainingError: the weights cannot be fetched, or are of another architecture.
    """

    def __init__(self, model: str, pretrained: str | Path | None, device: torch.device) -> None:
        name = _architecture(model)
        weights, quick_gelu = _weights(name, pretrained)
        self.device = device
        with _loading(name, weights):
            self._model, _, self._preprocess = open_clip.create_model_and_transforms(
                name,
                weights,
                device=device,
                # Weights say which activation they were trained with; the architecture alone may say another.
                force_quick_gelu=quick_gelu,
                require_pretrained=True,
            )
            self._tokenizer = open_clip.get_tokenizer(name)
        self._model.eval().requires_grad_(False)
        if device.type == "cuda":
            torch.backends.cudnn.deterministic = True
        self.cut: list[str] = []
        self.description: Mapping[str, Any] = {
            "model": {"name": Path(model).name if _is_file(model) else model, "sha256": _sha256(model)},
            "pretrained": pretrained
            and {
                "name": Path(pretrained).name if _is_file(pretrained) else str(pretrained),
                "sha256": _sha256(pretrained),
            },
            "versions": {"open_clip": open_clip.__version__, "torch": torch.__version__},
        }

    @torch.no_grad()
    def text_features(self, sentences: Sequence[Sequence[str]], batch_size: int) -> Tensor:
        """What stands for each class: the normalized mean of the normalized features of its sentences.

        Args:
            sentences: of each class, the same number.
            batch_size: about as many sentences at once; all those of a class are.
        """
        each = len(sentences[0])
        classes = max(1, batch_size // each)
        found = []
        for first in range(0, len(sentences), classes):
            texts = [text for of_class in sentences[first : first + classes] for text in of_class]
            tokens = self._tokenizer(texts)
            self._note_cut(texts, tokens)
            with _memory(counted(len(texts), "sentence")):
                features = F.normalize(self._model.encode_text(tokens.to(self.device)), dim=-1)
            mean = features.reshape(-1, each, features.shape[1]).mean(dim=1)
            found.append(F.normalize(mean, dim=-1))
        return torch.cat(found)

    @torch.no_grad()
    def logits(
        self, subset: Subset, classifiers: Sequence[Tensor], *, batch_size: int, workers: int
    ) -> Iterator[list[NDArray[np.float32]]]:
        """For each batch of photos, in their order: (photos, classes) for each of several sets of classes."""
        loader = DataLoader(subset.to_torch(self._preprocess), batch_size, num_workers=workers)
        for images, _ in loader:
            with _memory(counted(len(images), "photo")):
                features = F.normalize(self._model.encode_image(images.to(self.device)), dim=-1)
                scaled = self._model.logit_scale.exp() * features
                yield [(scaled @ one.T).cpu().numpy() for one in classifiers]

    def _note_cut(self, texts: Sequence[str], tokens: Tensor) -> None:
        if isinstance(self._tokenizer, open_clip.SimpleTokenizer):
            for row in tokens[:, -1].nonzero().flatten().tolist():
                # Start and end of the text are two more.
                if len(self._tokenizer.encode(texts[row])) + 2 > tokens.shape[1]:
                    self.cut.append(texts[row])


def _is_file(text: object) -> bool:
    return text is not None and Path(str(text)).is_file()


def _sha256(path: str | Path | None) -> str | None:
    return None if path is None or not _is_file(path) else sha256_of_file(Path(path))


def _architecture(model: str) -> str:
    """The name by which open_clip knows a model, which a file is given to it under."""
    if model.startswith(_WHOLE):
        return model
    if _is_file(model):
        try:
            found = read_json(Path(model))
        except (OSError, ValueError) as error:
            raise BadInputError(f"the model {model} cannot be read: {one_line(error)}") from error
        if not isinstance(found, dict) or not {"embed_dim", "vision_cfg", "text_cfg"} <= found.keys():
            raise BadInputError(
                f"{model} describes no model: it lacks embed_dim, vision_cfg or text_cfg",
                hint="The files of open_clip's folder model_configs show the form.",
            )
        open_clip.add_model_config(Path(model))
        return Path(model).stem
    if model not in open_clip.list_models():
        raise UsageError(
            f"open_clip has no model {model!r}, and there is no such file",
            hint=did_you_mean(model, open_clip.list_models())
            or "`python -c 'import open_clip; print(open_clip.list_models())'` lists them.",
        )
    return model


def _weights(name: str, pretrained: str | Path | None) -> tuple[str | None, bool]:
    """What open_clip is to load, and whether it was trained with the activation QuickGELU."""
    if name.startswith(_WHOLE):
        if pretrained is not None:
            raise UsageError(f"{name} comes with its weights", hint="Leave --pretrained out.")
        return None, False
    known = open_clip.list_pretrained_tags_by_model(name)
    listed = f"open_clip has {', '.join(known)} for it." if known else "open_clip has none for it."
    if pretrained is None:
        raise UsageError(f"no weights are named for {name}", hint=f"Name some with --pretrained; {listed}")
    if _is_file(pretrained):
        return str(pretrained), False
    if str(pretrained) not in known:
        raise UsageError(
            f"{pretrained} is no file, and not the name of weights for {name}",
            hint=did_you_mean(str(pretrained), known) or f"{listed[0].upper()}{listed[1:]}",
        )
    return str(pretrained), bool(open_clip.get_pretrained_cfg(name, str(pretrained)).get("quick_gelu"))


@contextlib.contextmanager
def _loading(name: str, weights: str | None) -> Iterator[None]:
    """Says what is wrong with weights that cannot be had."""
    before = logging.root.manager.disable
    # What goes wrong is said by the error.
    logging.disable(logging.CRITICAL)
    try:
        yield
    except Exception as error:  # of open_clip, torch, the hub and its client: there is no list
        text = str(error)
        # open_clip asserts sizes of what it reshapes before torch compares the names and shapes of all.
        if "state_dict" in text or isinstance(error, AssertionError):
            raise TrainingError(
                f"the weights {weights or name} are not of the architecture {name}",
                hint="Name the architecture that they were trained as with --model.",
            ) from error
        if _is_file(weights):
            raise BadInputError(
                f"{weights} cannot be read as weights of {name}: {one_line(error) or type(error).__name__}"
            ) from error
        raise TrainingError(
            f"the weights {weights or name} cannot be had: {one_line(error) or type(error).__name__}",
            hint="Without a network, name a checkpoint file with --pretrained, or a folder with "
            "--model local-dir:DIR.",
        ) from error
    finally:
        logging.disable(before)


def _memory(many: str) -> contextlib.AbstractContextManager[None]:
    return out_of_memory(f"{many} at once are too many for this model here", "Lower --batch-size.")
