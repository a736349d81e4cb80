"""One writer a store, and the second is told who the first is."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from arboretum_tools.errors import StoreError
from arboretum_tools.store import StoreWriter


def test_a_second_writer_is_refused_and_told_who_the_first_is(tmp_path, image):
    with StoreWriter.create(tmp_path) as first:
        with (
            pytest.raises(StoreError, match=rf"process {os.getpid()} on .*, since 20"),
            StoreWriter.create(tmp_path),
        ):
            pass
        first.add_image(1, image(1))
    with StoreWriter.create(tmp_path):
        pass


def test_the_lock_of_a_killed_process_is_free(tmp_path):
    code = (
        "import os, sys; from arboretum_tools.store import StoreWriter\n"
        "with StoreWriter.create(sys.argv[1]): os.kill(os.getpid(), 9)"
    )
    assert subprocess.run([sys.executable, "-c", code, tmp_path], check=False).returncode == -9
    with StoreWriter.create(tmp_path):
        pass
