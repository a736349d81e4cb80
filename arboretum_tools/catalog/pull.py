"""`pull`: the published Parquet from the Hugging Face hub, resumable, with its size said first.

`$HF_ENDPOINT` names another hub (a mirror, or one on loopback), `$HF_TOKEN` a token where one is needed;
both are huggingface_hub's own.
"""

from __future__ import annotations

import fnmatch
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from arboretum_tools.catalog.files import find_many
from arboretum_tools.errors import BadInputError, OutOfSpaceError
from arboretum_tools.events import OnEvent, StageFinished, StageStarted, UnitDone, ignore
from arboretum_tools.publish import out_of_space
from arboretum_tools.tables import one_line

#: Where the metadata of the 40M training set and of the whole are published.
REPOSITORY = "BGLab/BioTrove-Train"

#: Which files of a repository are metadata.
INCLUDE = "**/*.parquet"

#: Bytes a row of the published Parquet, about; measured on the published columns, for the estimate only.
_BYTES_A_ROW = 22

_HUB_MODULES = ("huggingface_hub", "httpx", "httpx2", "httpcore", "requests")


@dataclass(frozen=True, slots=True)
class PullPlan:
    """What would be fetched.

    Attributes:
        repository: on the hub.
        revision: the commit, so that a plan stays what it was.
        files: names in the repository, sorted.
        sizes: bytes of each.
    """

    repository: str
    revision: str
    files: tuple[str, ...]
    sizes: tuple[int, ...]

    @property
    def size_bytes(self) -> int:
        """Bytes of all files."""
        return sum(self.sizes)

    @property
    def rows_about(self) -> int:
        """An estimate of the rows, from the size."""
        return self.size_bytes // _BYTES_A_ROW

    def to_dict(self) -> dict[str, Any]:
        """As JSON."""
        return {**asdict(self), "size_bytes": self.size_bytes, "rows_about": self.rows_about}


def plan_pull(
    repository: str = REPOSITORY, *, revision: str | None = None, include: str = INCLUDE
) -> PullPlan:
    """Asks the hub which files there are and how large; fetches none of them.

    Args:
        repository: a dataset on the hub.
        revision: branch, tag or commit; default the main branch.
        include: pattern of file names; `**/` also stands for no folder at all.

    Raises:
        BadInputError: the hub, repository or revision is not there, or no file matches.
    """
    from huggingface_hub import HfApi

    info = _asking(
        repository, lambda: HfApi().dataset_info(repository, revision=revision, files_metadata=True)
    )
    patterns = {include, include.removeprefix("**/")}
    found = sorted(
        (sibling.rfilename, int(sibling.size or 0))
        for sibling in info.siblings or ()
        if any(fnmatch.fnmatch(sibling.rfilename, pattern) for pattern in patterns)
    )
    if not found:
        raise BadInputError(
            f"no file of {repository} matches {include!r}",
            hint="Look at its files on the hub, and name others with --include.",
        )
    return PullPlan(repository, str(info.sha), tuple(n for n, _ in found), tuple(s for _, s in found))


def pull(plan: PullPlan, to: str | Path, *, on_event: OnEvent = ignore) -> list[Path]:
    """Fetches the files of a plan; what is there already is not fetched again, what was cut off goes on.

    Args:
        plan: from `plan_pull`.
        to: the folder, made where it is not there.
        on_event: progress, in bytes.

    Returns:
        The files, each a whole Parquet file with the columns of a catalogue.

    Raises:
        BadInputError: the hub gave something else than the plan says.
        OutOfSpaceError: the disk has less room than is needed, or ran full.
        CatalogError: a file is no catalogue.
    """
    from huggingface_hub import hf_hub_download

    folder = Path(to)
    folder.mkdir(parents=True, exist_ok=True)
    missing = sum(
        size
        for name, size in zip(plan.files, plan.sizes, strict=True)
        if not ((folder / name).is_file() and (folder / name).stat().st_size == size)
    )
    if missing > (free := shutil.disk_usage(folder).free):
        raise OutOfSpaceError(
            f"{missing:,} bytes are to be fetched into {folder}, where {free:,} are free",
            hint="Choose another folder with --to, or fewer files with --include.",
        )
    on_event(StageStarted("pull", plan.size_bytes, "byte"))
    paths = []
    for name, size in zip(plan.files, plan.sizes, strict=True):
        with out_of_space(folder / name):
            path = _asking(
                plan.repository,
                lambda name=name: hf_hub_download(
                    plan.repository, name, repo_type="dataset", revision=plan.revision, local_dir=folder
                ),
            )
        paths.append(Path(path))
        if paths[-1].stat().st_size != size:
            raise BadInputError(
                f"{paths[-1]} has {paths[-1].stat().st_size:,} bytes, {plan.repository} says {size:,}",
                hint="Remove it and run the same command again.",
            )
        on_event(UnitDone(size))
    on_event(StageFinished("pull"))
    find_many(paths, allow_empty=False)
    return paths


def _asking(repository: str, ask: Any) -> Any:
    """Runs a question to the hub; what it raises becomes one error with what to do next."""
    try:
        return ask()
    except Exception as error:
        # The hub's own errors and those of its HTTP client, whichever it is; a full disk and bugs pass.
        if type(error).__module__.partition(".")[0] not in _HUB_MODULES:
            raise
        raise BadInputError(
            f"{repository} cannot be had from the hub: {one_line(error)}",
            hint="Check the name and the network ($HF_ENDPOINT, $HF_TOKEN), and run the same command again: "
            "it goes on where it stopped.",
        ) from error
