"""What `arboretum_tools` shows of itself."""

import re
import subprocess
import sys
from importlib import metadata

import arboretum_tools


def test_completion_shows_the_public_names_and_no_others():
    assert [name for name in dir(arboretum_tools) if not name.startswith("_")] == sorted(
        name for name in arboretum_tools.__all__ if not name.startswith("_")
    )


def test_every_public_name_is_there_and_names_stay_functions_whatever_is_imported():
    code = (
        "import arboretum_tools.downloading, arboretum_tools.exporting, arboretum_tools.evaluation\n"
        "import arboretum_tools, arboretum_tools.contact_sheets\n"
        "for name in arboretum_tools.__all__:\n"
        "    value = getattr(arboretum_tools, name)\n"
        "    assert type(value).__name__ != 'module', name\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_torch_and_open_clip_are_extras_and_are_loaded_by_nothing_but_training():
    required = [
        line for line in metadata.requires("arboretum-tools") or [] if re.match("torch|timm|open.clip", line)
    ]
    assert required
    assert all("extra ==" in line for line in required), required
    code = (
        "import arboretum_tools, sys\n"
        "for name in arboretum_tools.__all__:\n"
        "    getattr(arboretum_tools, name)\n"
        "assert not {'torch', 'open_clip'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
