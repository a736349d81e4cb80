"""Croissant 1.0: what a data set holds, as search engines and loaders of data sets read it.

https://docs.mlcommons.org/croissant/docs/croissant-spec.html: JSON-LD of schema.org with the files, the
tables in them and their columns, and what is known of how the data came about (RAI 1.0). No time stands in
it, so that the same data set is the same file.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from arboretum_metadata.schema import Table
from arboretum_metadata.vocab import LICENSES
from arboretum_tools.publication.citations import Author, bibtex, own_bibtex
from arboretum_tools.publication.origin import DRAWN_FOR, FOLLOWS_PEOPLE, LABELS, Origin
from arboretum_tools.split.files.manifest import Split
from arboretum_tools.system.atomic_files import sha256_of_file

#: The name of the file.
CROISSANT = "croissant.json"

_TYPES = {
    "string": "sc:Text",
    "int32": "sc:Integer",
    "int64": "sc:Integer",
    "float64": "sc:Float",
    "date32": "sc:Date",
}

# The context of the specification, 1.0, and of its vocabulary for responsible AI.
_CONTEXT: dict[str, Any] = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "citeAs": "cr:citeAs",
    "column": "cr:column",
    "conformsTo": "dct:conformsTo",
    "cr": "http://mlcommons.org/croissant/",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "dct": "http://purl.org/dc/terms/",
    "equivalentProperty": "cr:equivalentProperty",
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "extract": "cr:extract",
    "field": "cr:field",
    "fileObject": "cr:fileObject",
    "fileProperty": "cr:fileProperty",
    "fileSet": "cr:fileSet",
    "format": "cr:format",
    "includes": "cr:includes",
    "isLiveDataset": "cr:isLiveDataset",
    "jsonPath": "cr:jsonPath",
    "key": "cr:key",
    "md5": "cr:md5",
    "parentField": "cr:parentField",
    "path": "cr:path",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "recordSet": "cr:recordSet",
    "references": "cr:references",
    "regex": "cr:regex",
    "repeated": "cr:repeated",
    "replace": "cr:replace",
    "samplingRate": "cr:samplingRate",
    "sc": "https://schema.org/",
    "separator": "cr:separator",
    "source": "cr:source",
    "subField": "cr:subField",
    "transform": "cr:transform",
}

# What is known of every data set of photos that people took.
_RAI = {
    "rai:dataCollectionType": "Others",
    "rai:dataBiases": FOLLOWS_PEOPLE,
    "rai:dataLimitations": f"{LABELS}; taxa are renamed after publication; photos can be taken down at "
    "iNaturalist at any time.",
    "rai:personalSensitiveInformation": "Names or account names of the observers, who are to be credited. "
    "iNaturalist obscures positions of threatened species.",
    "rai:dataUseCases": "Training and evaluation of models that tell organisms apart, among them long-tailed "
    "recognition.",
}

_RAI_DRAWN = {
    "rai:dataCollectionType": "Synthetic",
    "rai:dataUseCases": DRAWN_FOR,
}


def document(
    split: Split,
    origin: Origin,
    *,
    name: str,
    description: str,
    licenses: Iterable[str],
    distribution: Sequence[dict[str, Any]],
    record_sets: Sequence[dict[str, Any]],
    doi: str | None = None,
    authors: Sequence[str] = (),
) -> dict[str, Any]:
    """The whole of a croissant.json.

    Args:
        split: what the data set is made of.
        origin: of its photos.
        name: of the data set.
        description: in a sentence or two.
        licenses: of its photos; names that are none of the vocabulary are left out.
        distribution: its files.
        record_sets: its tables.
        doi: of the data set.
        authors: who made it.
    """
    cited = [own_bibtex(name, authors, doi, split.meta.get("split_sha256"))] if authors else []
    url = f"https://doi.org/{doi}" if doi else ""
    about = _RAI_DRAWN if origin.drawn else {}
    if origin.inaturalist:
        cited, url = [*cited, bibtex()], url or "https://www.inaturalist.org"
        about = about or _RAI
    return {
        "@context": _CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": ["http://mlcommons.org/croissant/1.0", "http://mlcommons.org/croissant/RAI/1.0"],
        "name": " ".join(name.split()),
        "description": description,
        "identifier": {
            "@type": "sc:PropertyValue",
            "propertyID": "split_sha256",
            "value": split.meta.get("split_sha256"),
        },
        **({"url": url} if url else {}),
        **({"creator": [Author.of(one).croissant for one in authors]} if authors else {}),
        "license": [LICENSES[one].url for one in licenses if one in LICENSES] or ["unknown"],
        **({"citeAs": "\n\n".join(cited)} if cited else {}),
        "keywords": [
            *(["biodiversity", "iNaturalist"] if origin.inaturalist else []),
            "image classification",
            "long-tailed recognition",
        ],
        "isLiveDataset": False,
        "rai:dataCollection": origin.collection,
        **about,
        "distribution": list(distribution),
        "recordSet": list(record_sets),
    }


def table_file(folder: Path, name: str, table: Table, file: str) -> dict[str, Any]:
    """The Parquet file of a table, as it stands in a distribution."""
    return {
        "@type": "cr:FileObject",
        "@id": f"{name}-file",
        "name": f"{name}-file",
        "description": table.meaning,
        "contentUrl": file,
        "encodingFormat": "application/x-parquet",
        "sha256": sha256_of_file(folder / file),
    }


def records(name: str, table: Table) -> dict[str, Any]:
    """The record set of a table: its columns, with what they mean."""
    fields = []
    for column in table.columns:
        one: dict[str, Any] = {
            "@type": "cr:Field",
            "@id": f"{name}/{column.name}",
            "name": f"{name}/{column.name}",
            "description": column.meaning,
            "dataType": _TYPES[column.type],
            "source": {"fileObject": {"@id": f"{name}-file"}, "extract": {"column": column.name}},
        }
        if column.name == "label" and name != "classes":
            one["references"] = {"field": {"@id": "classes/label"}}
        fields.append(one)
    key = "label" if name == "classes" else "photo_id"
    return {
        "@type": "cr:RecordSet",
        "@id": name,
        "name": name,
        "description": table.meaning,
        "key": {"@id": f"{name}/{key}"},
        "field": fields,
    }
