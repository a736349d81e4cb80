"""`metadata.csv`: what BioCLIP's and BioTrove's evaluators read (`zero_shot_iid.py`, `few_shot.py`).

    ,kingdom,phylum,cls,order,family,genus,species,common_name,filepath,class
    0,Animalia,Chordata,Aves,Passeriformes,Turdidae,Turdus,merula,Eurasian Blackbird,test/00001_.../7.jpg,...

Their `DatasetFromFile` takes the first column for an index, opens `filepath` below the folder, and makes the
text of a class (`--text_type sci`, `taxon_com`, ...) out of the columns of the lineage; `asis` takes `class`.
A further column with the name of an attribute of their class `Taxon`, such as `scientific_name`, makes it
fail. Classes are numbered as they appear.
"""

from __future__ import annotations

import csv
from collections.abc import Callable

from arboretum_metadata.vocab import RANKS
from arboretum_tools.exporting.base import Source
from arboretum_tools.exporting.image_files import rows_of
from arboretum_tools.exporting.staging import Staging
from arboretum_tools.taxa.captions import Names

METADATA = "metadata.csv"

_LINEAGE = tuple("cls" if rank == "class" else rank for rank in RANKS)
_COLUMNS = ("", *_LINEAGE, "common_name", "filepath", "class")


def write_metadata(source: Source, work: Staging, path_of: Callable[[str, int, int], str]) -> str:
    """Writes metadata.csv over the part that evaluation is for: test, else val, else train.

    Args:
        source: gives photos and classes.
        work: where it is written.
        path_of: where an image lies in the export: from (part, label, photo_id).

    Returns:
        The part.
    """
    part = list(source.parts)[-1]
    names = [_names(row["name"], Names.of(row)) for row in source.classes()]
    with work.path(METADATA).open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(_COLUMNS)
        for number, (photo_id, label) in enumerate(rows_of(source, part)):
            *lineage, name = names[label]
            writer.writerow((number, *lineage, path_of(part, label, photo_id), name))
    return part


def _names(name: str, names: Names) -> tuple[str, ...]:
    ranks = dict(names.ranks)
    stage = names.life_stage
    if stage is not None:
        # The evaluators know no stages; in the epithet it stays a class of its own.
        ranks["species"] = " ".join(filter(None, (ranks.get("species"), stage)))
    common = names.common if names.common_name is not None else ""
    return (*(ranks.get(rank, "") for rank in RANKS), common, " ".join(name.split()))
