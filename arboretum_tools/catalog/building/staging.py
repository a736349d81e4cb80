"""Where a catalogue is made and how it takes the place of the old one.

It is made in `.<name>.building` beside it: kept when a build fails or is killed, so that the same build goes
on there, and removed when it ends. The old catalogue stays whole until the new one is.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path

from arboretum_tools.catalog.layouts import built_files
from arboretum_tools.errors import CatalogError, TargetExistsError
from arboretum_tools.system.atomic_files import out_of_space, placed, sync
from arboretum_tools.system.locking import exclusive
from arboretum_tools.tabular.query import Connection, Error, OwnError, connect, out_of_room, plain_errors
from arboretum_tools.wording import one_line

_LOCK, _PLAN, _SPILL = "lock", "plan", "spill"


def refuse_foreign(target: Path) -> None:
    """Raises TargetExistsError unless `target` is free, empty, or a built catalogue and nothing else."""
    if target.is_dir() and not target.is_symlink():
        if not any(target.iterdir()):
            return
        if built_files.is_built(target):
            strangers = built_files.foreign_files(target)
            if not strangers:
                return
            raise TargetExistsError(
                f"{target} is a built catalogue with other files in it, such as {strangers[0]}; nothing was "
                "changed",
                hint="Move them away: the whole folder is replaced.",
            )
    elif not target.exists() and not target.is_symlink():
        return
    raise TargetExistsError(
        f"{target} already holds something other than a built catalogue; nothing was changed",
        hint="Name another folder with --out, or move that one away first.",
    )


@contextlib.contextmanager
def work_folder(target: Path, plan: str) -> Iterator[Path]:
    """Gives the folder in which `target` is made; what another plan left there is removed first.

    Raises:
        CatalogError: another process makes this catalogue.
        OutOfSpaceError: the disk is full.
    """
    path = target.parent / f".{target.name}.building"

    def refuse(holder: str) -> CatalogError:
        return CatalogError(
            f"another build of {target} is running: {holder}; nothing was changed",
            path=target,
            hint="Wait for it to end, or build into another folder with --out.",
        )

    with placed(target):
        path.mkdir(parents=True, exist_ok=True)
    with out_of_space(path), exclusive(path / _LOCK, refuse):
        marker = path / _PLAN
        if not (marker.is_file() and marker.read_text("utf-8") == plan):
            _clear(path)
            marker.write_text(plan, "utf-8")
        try:
            yield path
        finally:
            shutil.rmtree(path / _SPILL, ignore_errors=True)
        shutil.rmtree(path, ignore_errors=True)


@contextlib.contextmanager
def working(work: Path, threads: int | None) -> Iterator[Connection]:
    """A connection that spills into the work folder.

    Raises:
        CatalogError: in place of what DuckDB raises about a source.
        OutOfSpaceError: the disk is full.
    """
    connection = connect(threads=threads, temp_directory=work / _SPILL)
    try:
        with plain_errors(f"building the catalogue in {work}"):
            try:
                yield connection
            except OwnError:
                raise
            except Error as error:
                if out_of_room(error):
                    raise
                raise CatalogError(
                    f"a source cannot be read: {one_line(error)}",
                    hint="A file of it is damaged: fetch it again. The old catalogue is as it was.",
                ) from error
    finally:
        connection.close()


def replace_catalog(new: Path, target: Path) -> None:
    """Gives a finished folder the catalogue's name; the old catalogue is removed after that."""
    for folder, _, names in os.walk(new):
        for name in names:
            sync(Path(folder, name))
        sync(Path(folder))
    old = target.with_name(f".{target.name}.replaced-{secrets.token_hex(4)}")
    if target.is_dir():
        target.rename(old)
    try:
        new.rename(target)
    except BaseException:
        if old.is_dir():
            old.rename(target)
        raise
    sync(target.parent)
    # `refuse_foreign` has looked through it: a built catalogue, or empty, with nothing else in it.
    shutil.rmtree(old, ignore_errors=True)


def _clear(path: Path) -> None:
    for entry in path.iterdir():
        if entry.is_dir():
            shutil.rmtree(entry)
        elif entry.name != _LOCK:
            entry.unlink()
