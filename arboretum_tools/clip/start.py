"""`zero_shot`: a split predicted from the names of its classes. torch is loaded when it is called."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from arboretum_tools.clip.prompts import Prompts, taxa_of
from arboretum_tools.display.progress import shows_progress
from arboretum_tools.errors import SplitError, TrainingError
from arboretum_tools.evaluation import Evaluation, evaluate
from arboretum_tools.evaluation.predictions import best
from arboretum_tools.evaluation.reporting.report import save as save_report
from arboretum_tools.events import Note, StageFinished, StageStarted, UnitDone
from arboretum_tools.options import takes
from arboretum_tools.options.training import ZeroShotOptions
from arboretum_tools.split.files.manifest import Split, open_split
from arboretum_tools.subset import Subset, load_subset
from arboretum_tools.system.atomic_files import refuse_existing, sha256_of_json, whole_folder, write_json
from arboretum_tools.taxa.captions import Names
from arboretum_tools.version import __version__
from arboretum_tools.wording import counted, does, one_line

#: The file that says what the predictions were made with.
DESCRIPTION = "zero-shot.json"


@dataclass(frozen=True, slots=True)
class ZeroShotReport:
    """What a zero-shot prediction came to.

    Attributes:
        path: its folder: the predictions, the report, and what they were made with.
        predictions: the file of the predictions.
        evaluation: what they came to.
    """

    path: Path
    predictions: Path
    evaluation: Evaluation


@shows_progress
@takes(ZeroShotOptions)
def zero_shot(split: str | Path | Split, options: ZeroShotOptions) -> ZeroShotReport:
    """Predicts a part of a split by a CLIP model, from the names of its classes, and writes the report.

    The folder appears whole or not at all. The same input gives the same predictions on one machine.

    Args:
        split: a split, or its folder.
        options: {options}

    Raises:
        UsageError: an invalid value; open_clip has no such model, or no such weights for it.
        SplitError: the split cannot be read, or has no such part.
        MissingPhotosError: the store lacks photos of the part.
        TargetExistsError: `out` holds something.
        BadInputError: a file of a model, of weights or of templates is not one.
        TrainingError: open_clip is not installed, weights cannot be fetched or are of another architecture,
            memory ran out, or what the model gives is no number.

    >>> import arboretum_tools as at
    >>> found = at.zero_shot("splits/aves-lt100", out="runs/clip", pretrained="openai")  # doctest: +SKIP
    """
    opened = split if isinstance(split, Split) else open_split(split, in_memory=False)
    subset = load_subset(opened, images=options.images, part=options.part)
    if not len(subset):
        raise SplitError(f"the part {subset.part} of {opened.name} has no photos to predict")
    out, emit = Path(options.out), options.on_event
    refuse_existing(out)
    classes = opened.classes.to_pylist()
    # In the order of predictions: the classes, then the taxa of each rank.
    taxa = {rank: taxa_of(rank, classes) for rank in options.rank}
    try:
        from arboretum_tools.clip.model import OPENAI_TEMPLATES, Clip
        from arboretum_tools.training.loop import World
    except (ImportError, RuntimeError) as error:  # the second: a torchvision that is of another torch
        raise TrainingError(
            f"zero-shot needs open_clip and torch, which cannot be imported: {one_line(error)}",
            hint="pip install '.[clip]' in the clone; torch and torchvision must be of one build.",
        ) from error
    prompts = Prompts.read(options.text, options.templates, OPENAI_TEMPLATES)
    world = World(options.device)
    clip = Clip(options.model, options.pretrained, world.device)
    named: list[list[Names]] = [
        [Names.of(row) for row in classes],
        *(list(of.values()) for of in taxa.values()),
    ]
    sentences = [[prompts.of(one) for one in names] for names in named]
    classifiers = [clip.text_features(one, options.batch_size) for one in sentences]
    if clip.cut:
        emit(
            Note(
                f"{counted(len(clip.cut), 'sentence')} {does(len(clip.cut), 'are')} longer than what the "
                f"model reads, such as {clip.cut[0]!r}: the rest is not read"
            )
        )
    with whole_folder(out) as folder:
        file = folder / f"{subset.part}.parquet"
        emit(StageStarted(f"predict {subset.part}", len(subset)))
        writer = None
        workers = world.workers(options.workers)
        batches = clip.logits(subset, classifiers, batch_size=options.batch_size, workers=workers)
        try:
            for table in _tables(subset, batches, taxa, scores=options.scores):
                writer = writer or pq.ParquetWriter(file, table.schema)
                writer.write_table(table)
                emit(UnitDone(table.num_rows))
        finally:
            if writer is not None:
                writer.close()
        emit(StageFinished(f"predict {subset.part}"))
        found = evaluate(opened, file, part=subset.part)
        save_report(found, folder / f"{subset.part}-report", with_figure=False)
        made_with = dict(clip.description)
        versions = {"arboretum": __version__, **made_with.pop("versions")}
        asked = {"text": list(prompts.types), "templates": Path(options.templates).name}
        write_json(
            folder / DESCRIPTION,
            {
                "format_version": 1,
                "split": {"name": opened.name, "sha256": opened.sha256},
                "part": subset.part,
                "ranks": list(taxa),
                "sentences": {"each": len(sentences[0][0]), "sha256": sha256_of_json(sentences), **asked},
                "versions": versions,
                **made_with,
            },
        )
    return ZeroShotReport(out, out / file.name, found)


def _tables(
    subset: Subset,
    batches: Iterator[list[NDArray[np.float32]]],
    taxa: Mapping[str, Mapping[str, Names]],
    *,
    scores: bool,
) -> Iterator[pa.Table]:
    """The rows of the predictions, a batch of photos at a time."""
    first = 0
    for of_classes, *of_ranks in batches:
        ids = subset.photo_ids[first : first + len(of_classes)]
        first += len(ids)
        for logits in (of_classes, *of_ranks):
            if not (finite := np.isfinite(logits).all(axis=1)).all():
                raise TrainingError(
                    f"what the model gives for photo {ids[~finite][0]} is no number; nothing was written",
                    hint="Look at the photo; where all are so, the weights are broken.",
                )
        columns: dict[str, Any] = {"photo_id": ids}
        if scores:
            flat = pa.array(_softmax(of_classes).ravel())
            columns["scores"] = pa.FixedSizeListArray.from_arrays(flat, of_classes.shape[1])
        else:
            top = best(ids, of_classes)
            columns |= {f"label_{k + 1}": top[:, k].astype(np.int32) for k in range(top.shape[1])}
        for (rank, names), logits in zip(taxa.items(), of_ranks, strict=True):
            columns[f"predicted_{rank}"] = pa.array(
                np.array(list(names), dtype=object)[logits.argmax(axis=1)]
            )
        yield pa.table(columns)


def _softmax(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    powers = np.exp(logits.astype(np.float64) - logits.max(axis=1, keepdims=True))
    shares: NDArray[np.float32] = (powers / powers.sum(axis=1, keepdims=True)).astype(np.float32)
    return shares
