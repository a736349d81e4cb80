"""`croissant.json`: what an export holds, as search engines and loaders of data sets read it.

Croissant 1.0 (https://docs.mlcommons.org/croissant/docs/croissant-spec.html): JSON-LD of schema.org with the
files, the tables in them and their columns, and what is known of how the data came about (RAI 1.0). The
tables that every export has are described, classes and photos; of the Hugging Face format also the files with
the images. No time stands in it, so that the same export is the same file.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from arboretum_metadata.schema import ATTRIBUTION, EXPORT_CLASSES, Table
from arboretum_metadata.vocab import LICENSES
from arboretum_tools.atomic_files import write_json
from arboretum_tools.exporting.base import SPLIT_NAMES, Source
from arboretum_tools.exporting.citations import bibtex
from arboretum_tools.exporting.licenses import NOT_KNOWN, licenses
from arboretum_tools.version import __version__
from arboretum_tools.wording import counted

#: The file that every export carries.
CROISSANT = "croissant.json"

_TYPES = {"string": "sc:Text", "int32": "sc:Integer", "int64": "sc:Integer", "float64": "sc:Float"}

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

# What is known of every export, whichever photos it has.
_RAI = {
    "rai:dataCollection": "Photos that people took of wild organisms and uploaded to iNaturalist, identified "
    "by its community; selected and divided by arboretum-tools, as export.json says.",
    "rai:dataCollectionType": "Others",
    "rai:dataBiases": "Photos follow people: places, seasons and species that observers like are frequent, "
    "and the number of photos of a class says how often it is photographed, not how common it is.",
    "rai:dataLimitations": "Labels are agreements of a community and not of specialists alone; taxa are "
    "renamed after publication; photos can be taken down at iNaturalist at any time.",
    "rai:personalSensitiveInformation": "Names or account names of the observers, who are to be credited. "
    "iNaturalist obscures positions of threatened species.",
    "rai:dataUseCases": "Training and evaluation of models that tell organisms apart, among them long-tailed "
    "recognition.",
}

_RAI_DRAWN = {
    "rai:dataCollection": "Pictures that the test server of arboretum-tools drew by taxon for its bundled "
    "sample catalogue, whose names are real and whose photos, observations and observers are invented.",
    "rai:dataCollectionType": "Synthetic",
    "rai:dataUseCases": "Trying arboretum-tools. No model of organisms can be learnt from it.",
}


def write_croissant(folder: Path, source: Source) -> None:
    """Writes croissant.json into an export whose other files but export.json are there."""
    split = source.split
    tables = (("classes", EXPORT_CLASSES, "classes.parquet"), ("photos", ATTRIBUTION, "ATTRIBUTION.parquet"))
    photos = sum(len(samples) for samples in source.parts.values())
    found = licenses(source)
    distribution = [_file(folder, name, table, file) for name, table, file in tables]
    if (folder / "data").is_dir():
        distribution.append(
            {
                "@type": "cr:FileSet",
                "@id": "images-files",
                "name": "images-files",
                "description": "Images with what is known of them, one Parquet file or more a part.",
                "encodingFormat": "application/x-parquet",
                "includes": "data/*.parquet",
            }
        )
    payload = {
        "@context": _CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": ["http://mlcommons.org/croissant/1.0", "http://mlcommons.org/croissant/RAI/1.0"],
        "name": " ".join(split.name.split()),
        "description": f"{counted(photos, 'photo')} of {counted(split.num_classes, 'class')}, "
        f"{source.origin}: {_parts(source)}. Made by arboretum-tools {__version__}.",
        "identifier": {
            "@type": "sc:PropertyValue",
            "propertyID": "split_sha256",
            "value": split.meta.get("split_sha256"),
        },
        "url": "https://www.inaturalist.org",
        "license": [LICENSES[name].url for name in found if name != NOT_KNOWN] or ["unknown"],
        "citeAs": bibtex(),
        "keywords": ["biodiversity", "iNaturalist", "image classification", "long-tailed recognition"],
        "isLiveDataset": False,
        **(_RAI_DRAWN if source.drawn else _RAI),
        "distribution": distribution,
        "recordSet": [_records(name, table) for name, table, _ in tables],
    }
    write_json(folder / CROISSANT, payload)


def _parts(source: Source) -> str:
    return ", ".join(f"{len(samples):,} {SPLIT_NAMES[part]}" for part, samples in source.parts.items())


def _file(folder: Path, name: str, table: Table, file: str) -> dict[str, Any]:
    digest = hashlib.sha256()
    with (folder / file).open("rb") as stream:
        while block := stream.read(1 << 20):
            digest.update(block)
    return {
        "@type": "cr:FileObject",
        "@id": f"{name}-file",
        "name": f"{name}-file",
        "description": table.meaning,
        "contentUrl": file,
        "encodingFormat": "application/x-parquet",
        "sha256": digest.hexdigest(),
    }


def _records(name: str, table: Table) -> dict[str, Any]:
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
        if (name, column.name) == ("photos", "label"):
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
