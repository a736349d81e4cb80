"""Zero-shot classification by a small CLIP, trained here for some steps on drawn birds."""

import json
import subprocess
import sys

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from torch.nn import functional as F  # noqa: N812

import arboretum_tools as at
from arboretum_cli.main import app
from arboretum_cli.printing import errors
from arboretum_metadata.sample import catalog_path
from arboretum_tools.errors import (
    BadInputError,
    MissingPhotosError,
    SplitError,
    TargetExistsError,
    TrainingError,
    UsageError,
)
from arboretum_tools.taxa.captions import Names, captions
from arboretum_tools.testing.origin import Origin
from arboretum_tools.testing.tiny import tiny_split, tiny_store

pytestmark = [pytest.mark.training, pytest.mark.timeout(900)]

MODEL = {
    "embed_dim": 64,
    "vision_cfg": {"image_size": 32, "layers": 2, "width": 64, "head_width": 32, "patch_size": 8},
    "text_cfg": {"context_length": 32, "vocab_size": 49408, "width": 64, "heads": 2, "layers": 1},
}


@pytest.fixture(scope="module")
def place(tmp_path_factory, torchvision):
    """A split of birds, their photos, and a model that was trained on them."""
    import open_clip

    folder = tmp_path_factory.mktemp("clip")
    aves = at.open_catalog(catalog_path()).select(taxa="Aves")
    with Origin(catalog_path()) as origin:
        at.download(aves, images=folder / "images", size="thumb", origin=origin.url)
    split = at.make_split(aves, lt_ratio=20, val_per_class=2, test_per_class=5)
    split.save(folder / "split")
    (folder / "bird-clip.json").write_text(json.dumps(MODEL))
    open_clip.add_model_config(folder / "bird-clip.json")
    torch.manual_seed(0)
    torch.set_num_threads(1)
    model, _, preprocess = open_clip.create_model_and_transforms("bird-clip", None)
    texts = [captions(Names.of(row))["sci"] for row in split.classes.to_pylist()]
    tokens = open_clip.get_tokenizer("bird-clip")(texts)
    train = at.load_subset(folder / "split", images=folder / "images", part="train")
    images = torch.stack([image for image, _ in train.to_torch(preprocess)])
    labels = torch.from_numpy(train.labels.astype(np.int64))
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3)
    model.train()
    for _ in range(12):
        for batch in torch.randperm(len(images)).split(64):
            photos = F.normalize(model.encode_image(images[batch]), dim=-1)
            names = F.normalize(model.encode_text(tokens), dim=-1)
            loss = F.cross_entropy(model.logit_scale.exp() * photos @ names.T, labels[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    torch.save(model.state_dict(), folder / "birds.pt")
    return folder


def chosen(place, out, **changed):
    return {
        "images": place / "images",
        "model": str(place / "bird-clip.json"),
        "pretrained": place / "birds.pt",
        "out": out,
        "templates": "captions",
    } | changed


def run(place, out, **changed):
    return at.zero_shot(place / "split", **chosen(place, out, **changed))


def test_a_trained_model_names_birds_far_better_than_chance_and_twice_the_same(place, tmp_path):
    found = run(place, tmp_path / "a", rank="genus,family", batch_size=32)
    classes = at.open_split(place / "split").num_classes
    assert found.evaluation.top1.overall.value > 5 / classes
    assert found.evaluation.top5 is not None
    assert {"many", "few"} & set(found.evaluation.top1.bands)
    assert set(found.evaluation.asked_ranks) == {"genus", "family"}
    assert found.evaluation == at.evaluate(place / "split", found.predictions)
    assert (tmp_path / "a" / "test-report" / "report.json").is_file()
    run(place, tmp_path / "b", rank=("genus", "family"), batch_size=32)
    for name in ("test.parquet", "zero-shot.json"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
    assert json.loads((tmp_path / "a" / "zero-shot.json").read_text())["pretrained"]["name"] == "birds.pt"


def reference(place, sentences, part="test"):
    """The protocol in numpy and float64: one sentence and one photo at a time."""
    import open_clip

    model, _, preprocess = open_clip.create_model_and_transforms("bird-clip", str(place / "birds.pt"))
    model = model.double().eval()
    tokenizer = open_clip.get_tokenizer("bird-clip")
    unit = lambda rows: rows / np.linalg.norm(rows, axis=-1, keepdims=True)  # noqa: E731
    with torch.no_grad():
        classes = [
            unit(unit(np.stack([model.encode_text(tokenizer([t]))[0].numpy() for t in of])).mean(axis=0))
            for of in sentences
        ]
        photos = np.stack(
            [
                model.encode_image(preprocess(item["image"])[None].double())[0].numpy()
                for item in at.load_subset(place / "split", images=place / "images", part=part)
            ]
        )
        return float(model.logit_scale.exp()) * unit(photos) @ np.stack(classes).T


def test_probabilities_are_those_of_the_mean_over_types_and_templates(place, tmp_path):
    from open_clip import OPENAI_IMAGENET_TEMPLATES

    rows = at.open_split(place / "split").classes.to_pylist()
    texts = [captions(Names.of(row)) for row in rows]
    names = [[text["scientific_name"][:-1], text["common_name"][:-1]] for text in texts]
    sentences = [[form(name) for name in of for form in OPENAI_IMAGENET_TEMPLATES] for of in names]
    found = run(place, tmp_path / "x", templates="openai", text="sci,com", scores=True, part="val")
    table = pq.read_table(found.predictions)
    scores = np.array(table["scores"].to_pylist())
    logits = reference(place, sentences, "val")
    expected = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(scores, expected, atol=2e-4)
    assert found.evaluation.part == "val"
    assert found.evaluation.calibration_error is not None


def test_ranks_are_asked_among_the_names_of_their_taxa(place, tmp_path):
    found = run(place, tmp_path / "x", rank="genus", text="sci")
    rows = at.open_split(place / "split").classes.to_pylist()
    genera = list(dict.fromkeys(row["genus"] for row in rows))
    logits = reference(place, [[f"a photo of {genus}."] for genus in genera])
    assert pq.read_table(found.predictions)["predicted_genus"].to_pylist() == [
        genera[best] for best in logits.argmax(axis=1)
    ]


@pytest.mark.parametrize(
    ("preset", "flags"),
    [
        ("arboretum-life-stages", ["--stages", "larva=2,adult=3"]),
        ("arboretum-confounding", ["--test-per-class", "2"]),
    ],
)
def test_benchmarks_have_what_they_are_for(place, tmp_path, preset, flags):
    split = tmp_path / "split"
    catalog = ["--catalog", str(catalog_path()), "--out", str(split)]
    assert errors.run(app, ["make-split", "--preset", preset, *flags, *catalog]) == 0
    with Origin(catalog_path()) as origin:
        at.download(at.open_split(split), images=tmp_path / "images", size="thumb", origin=origin.url)
    options = chosen(place, tmp_path / "x", images=tmp_path / "images")
    found = at.zero_shot(split, **options, rank="species").evaluation
    assert found.asked_ranks["species"].left_out == 0
    if preset == "arboretum-life-stages":
        assert set(found.life_stages) == {"larva", "adult"}
    else:
        assert found.pairs


def test_captions_of_ones_own_and_workers(place, tmp_path):
    (tmp_path / "own.toml").write_text('a = "a photo of $scientific_name."')
    own = run(place, tmp_path / "own", templates=tmp_path / "own.toml", workers=1, device="cpu")
    assert own.predictions.read_bytes() == run(place, tmp_path / "x").predictions.read_bytes()


def test_the_command_prints_the_report(place, tmp_path, capsys):
    flags = [f"--{k.replace('_', '-')}={v}" for k, v in chosen(place, tmp_path / "x").items()]
    assert errors.run(app, ["zero-shot", str(place / "split"), *flags]) == 0
    out, err = capsys.readouterr()
    assert "class-balanced" in out
    assert f"written to {tmp_path / 'x'}" in out + err


def test_sentences_that_do_not_fit_are_told(place, tmp_path):
    (tmp_path / "own.toml").write_text(f'a = "{"a photo of " * 20} $scientific_name."')
    events = []
    run(place, tmp_path / "x", templates=tmp_path / "own.toml", on_event=events.append)
    assert any("are longer than what the model reads" in getattr(event, "text", "") for event in events)


@pytest.mark.parametrize(
    ("changed", "error", "text"),
    [
        ({"model": "ViT-B-61"}, UsageError, "no model 'ViT-B-61'.*\n.*Did you mean ViT-B-16"),
        ({"model": "ViT-B-16", "pretrained": "openia"}, UsageError, "Did you mean openai"),
        ({"pretrained": "nowhere.pt"}, UsageError, "nowhere.pt is no file"),
        ({"pretrained": None}, UsageError, "no weights are named"),
        ({"model": "ViT-B-16", "pretrained": "openai"}, TrainingError, "weights openai cannot be had"),
        ({"model": "hf-hub:imageomics/bioclip", "pretrained": None}, TrainingError, "cannot be had"),
        ({"model": "hf-hub:imageomics/bioclip"}, UsageError, "comes with its weights"),
        ({"model": "RN50"}, TrainingError, "not of the architecture RN50"),
        ({"text": "scientific"}, UsageError, "'scientific' is not a caption type"),
        ({"templates": "opnai"}, UsageError, "Did you mean openai"),
        ({"rank": "tribe"}, UsageError, "unknown rank"),
        ({"part": "dev"}, SplitError, "dev"),
        ({"device": "cuda:77"}, TrainingError, "no device"),
        ({"batch_size": 0}, UsageError, "batch-size must be 1"),
    ],
)
def test_what_is_refused(place, tmp_path, changed, error, text):
    with pytest.raises(error, match=f"(?s){text}"):
        run(place, tmp_path / "x", **changed)
    assert list(tmp_path.iterdir()) == []


def test_files_that_are_not_what_they_should_be(place, tmp_path):
    bad = tmp_path / "bad.json"
    bad.write_text("{}")
    with pytest.raises(BadInputError, match="describes no model"):
        run(place, tmp_path / "x", model=str(bad))
    with pytest.raises(BadInputError, match=r"bad.json cannot be read as weights"):
        run(place, tmp_path / "x", pretrained=bad)
    with pytest.raises(TargetExistsError, match="nothing was written"):
        run(place, tmp_path)
    other = tiny_split()
    tiny_store(tmp_path / "images", other, pending=[other.part("test")["photo_id"][0].as_py()])
    with pytest.raises(MissingPhotosError):
        at.zero_shot(other, **chosen(place, tmp_path / "x", images=tmp_path / "images"))
    broken = torch.load(place / "birds.pt", weights_only=True)
    broken["visual.proj"].fill_(float("nan"))
    torch.save(broken, tmp_path / "broken.pt")
    with pytest.raises(TrainingError, match="is no number"):
        run(place, tmp_path / "x", pretrained=tmp_path / "broken.pt")
    assert not (tmp_path / "x").exists()


def test_without_open_clip_it_says_which_extra_to_install(place, tmp_path):
    arguments = ["zero-shot", place / "split", "--images", place / "images", "--out", tmp_path / "x"]
    code = (
        "import sys; sys.modules['open_clip'] = None\nfrom arboretum_cli.main import main\n"
        f"main({[str(one) for one in arguments]!r})"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 3
    assert ".[clip]" in done.stderr
    assert not (tmp_path / "x").exists()
