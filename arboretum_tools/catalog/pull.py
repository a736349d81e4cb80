"""`pull`: the published Parquet from the Hugging Face hub, resumable, with its size said first.

`$HF_ENDPOINT` names another hub (a mirror, or one on loopback), `$HF_TOKEN` a token where one is needed;
both are huggingface_hub's own.
"""

from __future__ import annotations

import fnmatch
import hashlib
import os
import re
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from arboretum_tools.catalog.layouts.files import find_many
from arboretum_tools.display.progress import shows_progress
from arboretum_tools.errors import BadInputError, OutOfSpaceError
from arboretum_tools.events import OnEvent, StageFinished, StageStarted, UnitDone, ignore
from arboretum_tools.options import takes
from arboretum_tools.options.catalog import PullOptions
from arboretum_tools.system.atomic_files import out_of_space, sha256_of_file, sync
from arboretum_tools.wording import one_line

#: Bytes per row of the published Parquet, about; measured on the published columns, for the estimate only.
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


@takes(PullOptions)
def plan_pull(options: PullOptions) -> PullPlan:
    """Asks the hub which files there are and how large; fetches none of them.

    Args:
        options: {options}

    Raises:
        BadInputError: the hub, repository or revision is not there, or no file matches.
    """
    from huggingface_hub import HfApi

    repository, include = options.repository, options.include
    info = _asking(
        repository, lambda: HfApi().dataset_info(repository, revision=options.revision, files_metadata=True)
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


@shows_progress
def pull(
    plan: PullPlan,
    to: str | Path,
    *,
    progress: bool = True,  # noqa: ARG001 - of shows_progress
    on_event: OnEvent = ignore,
) -> list[Path]:
    """Fetches the files of a plan; what is there already is not fetched again, what was cut off goes on.

    Args:
        plan: from `plan_pull`.
        to: the folder, made where it is not there.
        progress: draw bars where somebody watches and no `on_event` is given.
        on_event: progress, in bytes.

    Returns:
        The files, each a whole Parquet file with the columns of a catalogue.

    Raises:
        BadInputError: the hub gave something else than the plan says.
        OutOfSpaceError: the disk has less room than is needed, or ran full.
        CatalogError: a file is no catalogue.
    """
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
            hint="Choose another folder with --out, or fewer files with --include.",
        )
    on_event(StageStarted("pull", plan.size_bytes, "byte"))
    paths = []
    for name, size in zip(plan.files, plan.sizes, strict=True):
        with out_of_space(folder / name):
            paths.append(_fetch(plan, name, size, folder / name))
        on_event(UnitDone(size))
    on_event(StageFinished("pull"))
    find_many(paths)
    return paths


def _fetch(plan: PullPlan, name: str, size: int, to: Path) -> Path:
    """One file, whole; what an earlier run left of it is gone on from.

    huggingface_hub 2 no longer goes on where an earlier process was cut off, so its own request is used on a
    file of ours: `.<name>.<hash of the ETag>.partial`, which another version of the file never shares.
    At most one chunk of huggingface_hub, 10 MB, is lost where a connection breaks.
    """
    from huggingface_hub import get_hf_file_metadata, get_token, hf_hub_url
    from huggingface_hub.file_download import http_get

    url = hf_hub_url(plan.repository, name, repo_type="dataset", revision=plan.revision)
    known = _asking(plan.repository, lambda: get_hf_file_metadata(url))
    etag = str(known.etag or "")
    if to.is_file() and to.stat().st_size == size and _is(to, etag):
        return to
    to.parent.mkdir(parents=True, exist_ok=True)
    partial = to.with_name(f".{to.name}.{hashlib.sha256(etag.encode()).hexdigest()[:12]}.partial")
    # A content network that the hub refers to is not told the token.
    own = urlsplit(known.location).netloc == urlsplit(url).netloc
    token = get_token() if own else None
    headers = {"authorization": f"Bearer {token}"} if token else {}
    with partial.open("r+b" if partial.is_file() else "w+b") as file:
        start = file.seek(0, os.SEEK_END)
        if start > size:
            start = file.truncate(file.seek(0))
        _asking(
            plan.repository,
            lambda: http_get(known.location, file, resume_size=start, headers=headers, expected_size=size),
        )
    if not _is(partial, etag):
        partial.unlink()
        raise BadInputError(
            f"{to} did not come as {plan.repository} has it: its SHA-256 differs from {etag}",
            hint="What came was removed. Run the same command again.",
        )
    sync(partial)
    partial.replace(to)
    sync(to.parent)
    return to


def _is(file: Path, etag: str) -> bool:
    """Whether a file is what its ETag says: that of a large file is its SHA-256, others tell nothing."""
    if not re.fullmatch("[0-9a-f]{64}", etag):
        return True
    return sha256_of_file(file) == etag


def _asking(repository: str, ask: Any) -> Any:
    """Runs a question to the hub; what it raises becomes one error with what to do next."""
    try:
        return ask()
    except Exception as error:
        # The hub's own errors and those of its HTTP client, whichever it is; a full disk and bugs pass.
        cut_off = type(error) is OSError and error.errno is None  # a body that was shorter than promised
        if not cut_off and type(error).__module__.partition(".")[0] not in _HUB_MODULES:
            raise
        raise BadInputError(
            f"{repository} cannot be had from the hub: {one_line(error)}",
            hint="Check the name and the network ($HF_ENDPOINT, $HF_TOKEN), and run the same command again: "
            "it goes on where it stopped.",
        ) from error
