"""One short training on the CPU, from the bundled sample's photos to a report: the exports are for this."""

import pytest

import arboretum_tools as at
from arboretum_metadata.sample import catalog_path
from arboretum_tools.testing.origin import Origin

pytestmark = pytest.mark.consumers

SIDE = 64


@pytest.fixture(scope="module")
def birds(tmp_path_factory):
    """A long-tailed split of the sample's birds, its store, and an ImageFolder of it."""
    folder = tmp_path_factory.mktemp("birds")
    aves = at.open_catalog(catalog_path()).select(taxa="Aves")
    with Origin(catalog_path()) as origin:
        at.download(aves, images=folder / "images", size="thumb", origin=origin.url)
    split = at.make_split(aves, lt_ratio=20, val_per_class=2, test_per_class=3)
    split.save(folder / "split")
    at.export(split, images=folder / "images", to=folder / "folders", format="imagefolder")
    return folder


def loader(folder, split, *, training):
    from timm.data import create_dataset, create_loader

    dataset = create_dataset("", root=str(folder / "folders"), split=split)
    return create_loader(
        dataset,
        input_size=(3, SIDE, SIDE),
        batch_size=32,
        is_training=training,
        num_workers=0,
        use_prefetcher=False,
        no_aug=True,
        persistent_workers=False,
    )


def test_timm_learns_from_an_image_folder_and_its_predictions_are_evaluated(birds):
    import pyarrow as pa
    import pyarrow.parquet as pq
    import timm
    import torch

    torch.manual_seed(0)
    # Threads that wait for a core that others use take longer than one thread.
    torch.set_num_threads(1)
    split = at.open_split(birds / "split")
    model = timm.create_model("test_vit", num_classes=split.num_classes, img_size=SIDE)
    # The tail counts as much as the head: what the class counts of a split are for.
    counts = torch.tensor(split.class_counts, dtype=torch.float)
    loss_of = torch.nn.CrossEntropyLoss(weight=counts.sum() / (len(counts) * counts))
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    epochs = []
    for _ in range(4):
        model.train()
        losses = []
        for images, labels in loader(birds, "train", training=True):
            optimizer.zero_grad()
            loss = loss_of(model(images), labels)
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        epochs.append(sum(losses) / len(losses))
    assert epochs[-1] < 0.8 * epochs[0]

    model.eval()
    test = at.load_subset(
        birds / "split", images=birds / "images", part="test", same_classes_as=birds / "folders"
    )
    with torch.no_grad():
        # In the order of the split, as both the folder's loader and the subset have it.
        scores = torch.cat([model(images) for images, _ in loader(birds, "test", training=False)])
    predictions = {"photo_id": pa.array(test.photo_ids), "scores": pa.array(scores.tolist())}
    pq.write_table(pa.table(predictions), birds / "predictions.parquet")
    report = at.evaluate(birds / "split", birds / "predictions.parquet")
    assert report.to_dict()["photos"] == len(test)
    # Guessing gets one of 21 right.
    assert (scores.argmax(1).numpy() == test.labels).mean() > 2 / 21


def test_the_same_photos_train_straight_from_the_store(birds):
    import torch
    from torchvision.transforms import v2

    torch.manual_seed(0)
    torch.set_num_threads(1)
    resize = v2.Compose([v2.Resize((SIDE, SIDE)), v2.ToImage(), v2.ToDtype(torch.float32, scale=True)])
    train = at.load_subset(birds / "split", images=birds / "images", on_error="skip")
    batches = torch.utils.data.DataLoader(train.to_torch(resize), batch_size=32, shuffle=True, num_workers=0)
    model = torch.nn.Sequential(
        torch.nn.Conv2d(3, 16, 5, stride=4),
        torch.nn.ReLU(),
        torch.nn.AdaptiveAvgPool2d(4),
        torch.nn.Flatten(),
        torch.nn.Linear(256, len(train.class_names)),
    )
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    epochs = []
    for _ in range(3):
        losses = []
        for images, labels in batches:
            optimizer.zero_grad()
            loss = torch.nn.functional.cross_entropy(model(images), labels)
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        epochs.append(sum(losses) / len(losses))
    assert epochs[-1] < epochs[0]
