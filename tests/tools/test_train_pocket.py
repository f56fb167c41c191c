"""The script that trains the embedded network, on a few random pictures; where PyTorch is installed."""

import numpy as np
import pytest
from PIL import Image

torch = pytest.importorskip("torch")

from nnstyle import Network, load_weights  # noqa: E402
from weights import classifier, train_pocket  # noqa: E402
from weights.classifier import Classifier, distort, folded  # noqa: E402

CLASSES, EACH = ("n1", "n2", "n3", "n4", "n5", "n6"), 3
OPTIONS = ["--epochs", "32:1,48:1", "--device", "cpu"]


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def published(tmp_path, monkeypatch):
    """A folder of the data set's layout; and a network with few channels."""
    monkeypatch.setattr(train_pocket, "WIDTHS", (4, 5, 6, 7, 8))
    rng, folder = np.random.default_rng(0), tmp_path / "tiny-imagenet-200"
    picture = lambda: Image.fromarray(rng.integers(0, 255, (64, 64, 3)).astype(np.uint8))
    (folder / "val" / "images").mkdir(parents=True)
    (folder / "wnids.txt").write_text("\n".join(CLASSES))
    lines = []
    for i, name in enumerate(CLASSES):
        images = folder / "train" / name / "images"
        images.mkdir(parents=True)
        for j in range(EACH):
            picture().save(images / f"{name}_{j}.JPEG")
        picture().convert("L").save(folder / "val" / "images" / f"val_{i}.JPEG")  # some are grey
        lines.append(f"val_{i}.JPEG\t{name}\t0\t0\t63\t63")
    (folder / "val" / "val_annotations.txt").write_text("\n".join(lines))
    return folder


def train(published, folder, *options):
    return train_pocket.main([str(published), "-o", str(folder), *OPTIONS, *options])


@pytest.mark.slow
def test_an_interrupted_run_comes_to_the_same_weights(published, tmp_path, monkeypatch):
    assert train(published, tmp_path / "whole") == 0
    original = train_pocket.Training.run_epoch

    def interrupted(self, epoch):
        if epoch == 1:
            raise KeyboardInterrupt
        return original(self, epoch)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(train_pocket.Training, "run_epoch", interrupted)
        train(published, tmp_path / "parts")
    assert train(published, tmp_path / "parts") == 0
    assert (tmp_path / "whole" / "pocket.md").read_text() == (tmp_path / "parts" / "pocket.md").read_text()
    whole, parts = (load_weights(tmp_path / name / "pocket.h5") for name in ("whole", "parts"))
    assert whole.rescaled and list(whole) == list(parts) and len(whole) == 13
    for name in whole:
        np.testing.assert_array_equal(whole[name][0], parts[name][0])
    assert train(published, tmp_path / "seed", "--seed", "1") == 0  # the twin that must differ
    other = load_weights(tmp_path / "seed" / "pocket.h5")
    assert not np.array_equal(other["conv1_1"][0], whole["conv1_1"][0])


def test_other_options_do_not_go_on_with_a_run(published, tmp_path, capsys):
    assert train(published, tmp_path / "run") == 0
    assert train(published, tmp_path / "run", "--rate", "0.1") == 2
    assert "other options" in capsys.readouterr().err


def test_folding_changes_nothing():
    torch.manual_seed(0)
    model = Classifier(3, (4, 5, 6, 7, 8)).double()
    for norm in model.norms.values():  # as if trained
        for values in (norm.weight.data, norm.bias.data, norm.running_mean, norm.running_var):
            values.uniform_(0.5, 1.5)
    pixels = 255 * torch.rand(1, 3, 32, 48, dtype=torch.float64)
    expected = model.eval().features(pixels, "conv5_1")[0].permute(1, 2, 0).detach().numpy()
    weights = folded(model)
    image = pixels[0].permute(1, 2, 0).numpy() - weights.preprocessing.mean
    features, _ = Network(weights, "max", np.float64).forward(image, ["conv5_1"])
    np.testing.assert_allclose(features["conv5_1"], expected, rtol=0, atol=1e-5 * np.abs(expected).max())
    kernel, bias = weights["conv3_2"]
    weights |= {"conv3_2": (kernel, 0 * bias)}  # the twin that must fail
    features, _ = Network(weights, "max", np.float64).forward(image, ["conv5_1"])
    assert np.abs(features["conv5_1"] - expected).max() > 1e-2 * np.abs(expected).max()


def test_distortion_moves_and_keeps_colours():
    pictures = torch.tensor([200.0, 100, 50]).view(1, 3, 1, 1).expand(8, 3, 64, 64).contiguous()
    views = distort(pictures, 48, torch.Generator().manual_seed(0))
    assert views.shape == (8, 3, 48, 48)
    brightness = views[:, 0, 24, 24] / 200
    assert ((brightness >= 0.8) & (brightness <= 1.2)).all() and brightness.std() > 0.01
    flat = pictures[:, :, :48, :48] * brightness.view(-1, 1, 1, 1)
    torch.testing.assert_close(views, flat)  # of one colour, it stays of one colour
    ramp = torch.linspace(0, 255, 64).expand(8, 3, 64, 64).contiguous()
    first = distort(ramp, 64, torch.Generator().manual_seed(0))
    torch.testing.assert_close(first, distort(ramp, 64, torch.Generator().manual_seed(0)), rtol=0, atol=0)
    rising = first[:, 0, 32, 60] > first[:, 0, 32, 4]
    assert rising.any() and not rising.all()  # some are mirrored


def test_what_is_not_the_data_set_gets_one_line(published, tmp_path, capsys):
    assert train(tmp_path / "nowhere", tmp_path / "run") == 2
    (published / "val" / "images" / "val_0.JPEG").write_bytes(b"no picture")
    assert train(published, tmp_path / "run") == 2
    said = capsys.readouterr().err.splitlines()
    assert "is not Tiny ImageNet as published" in said[0] and "val_0.JPEG cannot be read" in said[-1]
    with pytest.raises(SystemExit, match="2"):
        train(published, tmp_path / "run", "--epochs", "16:1")
    assert classifier.NAMES[-1] == "conv5_1"


@pytest.mark.parametrize("name", ["tiny-imagenet.npz", "checkpoint.pt", "pocket.h5"])
def test_a_result_never_replaces_a_file_of_the_data_set(published, tmp_path, capsys, name):
    picture = next((published / "train").rglob("*.JPEG"))
    before = picture.read_bytes()
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / name).symlink_to(picture)
    assert train(published, tmp_path / "run") == 2 and train(published, published) == 2
    assert capsys.readouterr().err.count("would lie in the data set") == 2
    assert picture.read_bytes() == before
