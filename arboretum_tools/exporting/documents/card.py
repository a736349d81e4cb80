"""The dataset card of a Hugging Face export: README.md with YAML before the text.

Names and licences come from outside. The YAML is written by a real YAML writer; in the Markdown, what
could be read as markup is escaped.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from arboretum_metadata.vocab import LICENSES
from arboretum_tools.exporting.base import SPLIT_NAMES, Source
from arboretum_tools.exporting.documents.licenses import NOT_KNOWN, least_open, licenses
from arboretum_tools.publication.citations import bibtex
from arboretum_tools.system.atomic_files import canonical_json
from arboretum_tools.tabular.markdown import table
from arboretum_tools.taxa.bands import BANDS
from arboretum_tools.version import __version__
from arboretum_tools.wording import counted

#: What the hub calls each licence (https://huggingface.co/docs/hub/repositories-licenses). It has no name
#: for the public domain mark.
HUB_LICENSES = {
    "CC0": "cc0-1.0",
    "PD": "other",
    "CC-BY": "cc-by-4.0",
    "CC-BY-SA": "cc-by-sa-4.0",
    "CC-BY-NC": "cc-by-nc-4.0",
    "CC-BY-NC-SA": "cc-by-nc-sa-4.0",
    "CC-BY-ND": "cc-by-nd-4.0",
    "CC-BY-NC-ND": "cc-by-nc-nd-4.0",
}

# The size categories of the hub: upper bound (exclusive) and name.
_SIZES = (
    (1_000, "n<1K"),
    (10_000, "1K<n<10K"),
    (100_000, "10K<n<100K"),
    (1_000_000, "100K<n<1M"),
    (10_000_000, "1M<n<10M"),
    (100_000_000, "10M<n<100M"),
)


@dataclass(frozen=True, slots=True)
class SplitSize:
    """One split as the card states it.

    Attributes:
        name: train, validation or test.
        num_examples: photos.
        num_bytes: size as an Arrow table, in bytes.
    """

    name: str
    num_examples: int
    num_bytes: int


def write_card(
    folder: Path, source: Source, features: Sequence[Mapping[str, Any]], splits: Sequence[SplitSize]
) -> None:
    """Writes README.md into the export; the Parquet files already lie in `folder/data`."""
    import yaml  # type: ignore[import-untyped]

    by_license = licenses(source)
    front = {
        "license": _hub_license(by_license),
        "task_categories": ["image-classification"],
        "tags": _tags(source),
        "pretty_name": " ".join(source.split.title.split()),
        "size_categories": [_size_category(sum(split.num_examples for split in splits))],
        "configs": [
            {
                "config_name": "default",
                "data_files": [{"split": s.name, "path": f"data/{s.name}-*.parquet"} for s in splits],
            }
        ],
        "dataset_info": {
            "features": [dict(feature) for feature in features],
            "splits": [
                {"name": s.name, "num_bytes": s.num_bytes, "num_examples": s.num_examples} for s in splits
            ],
            "download_size": sum(path.stat().st_size for path in (folder / "data").iterdir()),
            "dataset_size": sum(s.num_bytes for s in splits),
        },
    }
    text = yaml.safe_dump(front, sort_keys=False, allow_unicode=True, width=10_000)
    (folder / "README.md").write_text(f"---\n{text}---\n\n{_body(source, by_license)}", encoding="utf-8")


def _hub_license(by_license: Mapping[str, int]) -> str:
    strictest = least_open(by_license)
    # One photo without a known licence is one that nobody may be told to be free to use.
    return HUB_LICENSES[strictest] if strictest and NOT_KNOWN not in by_license else "unknown"


def _tags(source: Source) -> list[str]:
    origin = source.origin
    tags = ["biodiversity", "synthetic"] if origin.drawn else ["biodiversity", "iNaturalist", "Arboretum"]
    if not origin.inaturalist:
        tags = []
    meta = source.split.meta
    # A selection as it is has a ratio too, which nobody asked for.
    long_tailed = meta["recipe"].get("profile") != "all" and (meta.get("ratio_achieved") or 1) > 1
    return tags + (["long-tailed"] if long_tailed else [])


def _size_category(photos: int) -> str:
    return next((name for bound, name in _SIZES if photos < bound), "100M<n<1B")


def _body(source: Source, by_license: Mapping[str, int]) -> str:
    split = source.split
    photos = sum(len(samples) for samples in source.parts.values())
    sections = [
        f"# {_text(split.title)}",
        f"{counted(photos, 'photo')} of {counted(split.num_classes, 'class')}, {source.origin.words}.",
        _loading(source),
        f"## Photos\n\n{_counts(source)}",
        f"## Lineage\n\n{_lineage(split.classes.to_pylist())}",
        f"## Licences\n\n{_licences_in_words(by_license)}",
        f"## How it was made\n\n{_making(source)}",
        # Whom to cite for other photos, nobody has said.
        *([f"## Citation\n\n```bibtex\n{bibtex()}\n```"] if source.origin.inaturalist else []),
    ]
    return "\n\n".join(sections) + "\n"


def _loading(source: Source) -> str:
    first = SPLIT_NAMES[next(iter(source.parts))]
    return (
        "```python\nfrom datasets import load_dataset\n\n"
        f'dataset = load_dataset("PATH_OR_REPOSITORY", split="{first}")\ndataset[0]["image"]\n```'
    )


def _counts(source: Source) -> str:
    parts = [[SPLIT_NAMES[part], f"{len(samples):,}"] for part, samples in source.parts.items()]
    text = _rows(["split", "photos"], parts)
    if "train" in source.split.parts:
        bands = Counter(source.split.classes["shot"].to_pylist())
        text += "\n\n" + _rows(
            ["shot band, by train photos", "classes"], [[band, f"{bands[band]:,}"] for band in BANDS]
        )
    missing = [
        f"{counted(found.missing.num_rows, 'photo')} of {SPLIT_NAMES[part]} "
        f"({', '.join(f'{count:,} {status}' for status, count in found.missing_by_status.items())})"
        for part, found in source.parts.items()
        if found.missing.num_rows
    ]
    return text + (f"\n\nNot there: {'; '.join(missing)}; see `missing.parquet`." if missing else "")


def _licences_in_words(by_license: Mapping[str, int]) -> str:
    text = _rows(["licence", "photos"], [[name, f"{count:,}"] for name, count in by_license.items()]) + "\n\n"
    strictest = least_open(by_license)
    if strictest:
        about = LICENSES[strictest]
        text += f"The most restrictive licence among them is **{strictest}** ({about.title}, {about.url}). "
    if NOT_KNOWN in by_license:
        text += "Photos whose licence is not known may not be passed on. "
    return (
        text
        + "Each photo has its licence in the column `license` and the line to credit it with in `credit`; "
        "`ATTRIBUTION.html` lists them all."
    )


def _making(source: Source) -> str:
    meta = source.split.meta
    names = (
        "recipe",
        "group_by",
        "M",
        "m",
        "C",
        "ratio_asked",
        "ratio_achieved",
        "catalog",
        "sha256",
        "split_sha256",
    )
    how = {name: meta[name] for name in names if name in meta}
    return (
        f"By arboretum-tools {__version__}, photo size `{source.store.config.size}`, samples in the order of "
        f"seed {source.seed}. `label` is the row of `classes.parquet`; labels run from the class with the "
        f"most train photos to the one with the fewest, then by "
        f"`class_key`.\n\n```json\n{canonical_json(how, indent=2)}\n```"
    )


def _lineage(classes: Sequence[Mapping[str, Any]]) -> str:
    counts: Counter[tuple[str, str]] = Counter(
        (row["kingdom"] or NOT_KNOWN, row["class"] or NOT_KNOWN) for row in classes
    )
    lines = [[_text(kingdom), _text(name), f"{n:,}"] for (kingdom, name), n in sorted(counts.items())]
    return _rows(["kingdom", "class", "classes here"], lines)


def _rows(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    return "\n".join(table(head, rows))


def _text(text: str) -> str:
    """`text` on one line, with nothing in it that Markdown or HTML would read as markup."""
    return re.sub(r"([\\`*_{}\[\]()#+!|<>&~$])", r"\\\1", " ".join(text.split()))
