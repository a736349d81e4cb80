"""The three lines that the toolkit is known for, exactly as written, in an empty folder with a catalog/."""

import shlex

import arboretum_tools


def test_the_three_lines_give_a_subset_that_loads(workdir, process):
    for line in ("arboretum download --taxa Aves", "arboretum make-split --lt-ratio 100"):
        running = process(*shlex.split(line)[1:], cwd=workdir)
        out, err = running.communicate(timeout=120)
        assert running.returncode == 0, err
    assert out.splitlines()[0] == "from the photos downloaded into images: class Aves; research grade"

    subset = arboretum_tools.load_subset("splits/aves-lt100", images="images", part="train")

    assert len(subset) == sum(subset.class_counts) == 956
    assert subset.class_counts[0] == 100 * subset.class_counts[-1] == 200
    item = subset[0]
    assert (item["image"].size, item["label"]) == ((500, 375), 0) or item["image"].size[0] <= 500
    assert item["scientific_name"] == "Passer domesticus"
    item["image"].load()
