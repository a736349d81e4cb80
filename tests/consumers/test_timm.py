from collections import Counter

import pytest

pytestmark = pytest.mark.consumers


def create(name, **options):
    from timm.data import create_dataset

    return create_dataset(name, **options)


@pytest.mark.parametrize(("split", "part"), [("train", "train"), ("validation", "val"), ("test", "test")])
def test_image_folder_numbers_classes_as_the_split(made, labels, split, part):
    dataset = create("", root=str(made.imagefolder), split=split)
    names = dataset.filenames(basename=True)
    found = {int(name[:-4]): dataset.reader[index][1] for index, name in enumerate(names)}
    assert found == labels(made.split, part)


@pytest.mark.parametrize(("split", "part"), [("train", "train"), ("validation", "val"), ("test", "test")])
def test_webdataset_finds_its_splits_and_lengths_in_info_json(made, labels, split, part):
    pytest.importorskip("webdataset")
    dataset = create("wds/tiny", root=str(made.webdataset), split=split, batch_size=1)
    requested = labels(made.split, part)
    assert len(dataset) == len(requested)
    seen = Counter(label for _, label in dataset)
    assert seen == Counter(requested.values())


@pytest.mark.parametrize(("split", "part"), [("train", "train"), ("validation", "val"), ("test", "test")])
def test_hugging_face_parquet_has_the_columns_it_asks_for(made, labels, split, part):
    dataset = create(f"hfds/{made.hf}", root=str(made.folder / "cache"), split=split)
    requested = labels(made.split, part)
    assert len(dataset) == len(requested)
    assert Counter(dataset[index][1] for index in range(len(dataset))) == Counter(requested.values())
