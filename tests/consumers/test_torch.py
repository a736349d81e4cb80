import pickle
from collections import Counter

import numpy as np
import pytest

from arboretum_tools.subset import load_subset

pytestmark = pytest.mark.consumers


def to_tensor(image):
    import torch

    return torch.from_numpy(np.array(image).transpose(2, 0, 1))


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_a_data_loader_with_two_workers_gives_every_photo_once(made, method):
    import torch

    subset = load_subset(made.folder / "split", images=made.store.path)
    assert len(pickle.dumps(subset)) < 2_000
    loader = torch.utils.data.DataLoader(
        subset.to_torch(to_tensor), batch_size=8, shuffle=True, num_workers=2, multiprocessing_context=method
    )
    seen = Counter()
    for images, labels in loader:
        assert images.shape[1:] == (3, 24, 32)
        seen.update(labels.tolist())
    assert [seen[label] for label in range(4)] == subset.class_counts


def test_a_weighted_sampler_takes_the_class_counts(made):
    import torch

    subset = load_subset(made.folder / "split", images=made.store.path)
    weights = 1 / np.array(subset.class_counts)[subset.labels]
    sampler = torch.utils.data.WeightedRandomSampler(
        weights.tolist(), 4_000, generator=torch.Generator().manual_seed(0)
    )
    drawn = np.bincount(subset.labels[list(sampler)])
    assert drawn.min() > 800


def test_torchvision_image_folder_numbers_classes_as_the_split(made, labels, torchvision):
    from torchvision.datasets import ImageFolder

    for part in made.split.parts:
        dataset = ImageFolder(made.imagefolder / part)
        found = {int(path.rsplit("/", 1)[1][:-4]): label for path, label in dataset.samples}
        assert found == labels(made.split, part)
        assert dataset[0][0].size == (32, 24)


def test_torchvision_inaturalist_2018_finds_train_and_val_under_their_labels(made, labels, torchvision):
    from torchvision.datasets import INaturalist

    dataset = INaturalist(made.folders["inat-json"], version="2018", target_type=["full", "super"])
    found = {int(name[:-4]): label for label, name in dataset.index}
    assert found == labels(made.split, "train") | labels(made.split, "val")
    image, (label, group) = dataset[0]
    assert image.size == (32, 24)
    assert label == dataset.index[0][0]
    assert list(dataset.categories_index["super"])[group] in {"Aves", "Plantae"}


def test_in_a_loader_a_broken_photo_is_skipped_and_the_batches_stay_whole(made, tmp_path):
    import shutil

    import torch

    from arboretum_tools.store.shards.layout import tar_path

    shutil.copytree(made.store.path, tmp_path / "images")
    subset = load_subset(made.folder / "split", images=tmp_path / "images", on_error="skip")
    tar_path(tmp_path / "images", int(subset.folder.shard[7])).unlink()
    seen = [
        len(labels) for _, labels in torch.utils.data.DataLoader(subset.to_torch(to_tensor), batch_size=29)
    ]
    assert seen == [29, 29]
    assert subset.photo_ids[7] in subset.skipped
