"""The file that keeps a run's state: the same bits come back, and nothing else is accepted."""

import json
import os
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from nnstyle import InputError, Record, load_checkpoint, prepare, run, save_checkpoint
from nnstyle.checkpoint import KEY, MOST_HEADER, State, checkpoint_path, summarize_checkpoint
from nnstyle.settings import MOST_ITERATIONS
from tests.support.pictures import noise
from tests.support.tiny import tiny_weights

CONTENT, STYLE = noise(48, 40), noise(40, 48, seed=1)


def make_job(**settings):
    how = {"size": 48, "iterations": 4, "border": 0, "optimizer": "lbfgs-nnstyle"}
    return prepare(CONTENT, STYLE, tiny_weights(), **how | settings)


def state_after(job, iterations):
    states = []
    run(job, callback=lambda event: states.append(event.state()) or len(states) == iterations)
    return states[-1]


@pytest.fixture
def stored(tmp_path):
    """A job, its state after three iterations, and the file that has it."""
    job = make_job()
    state = state_after(job, 3)
    save_checkpoint(tmp_path / "x.png.nnstyle", job, state)
    return job, state, tmp_path / "x.png.nnstyle"


def rewritten(path, change):
    """Change a checkpoint: ``change(header, summary, data)`` returns the new data."""
    content = path.read_bytes()
    length = int.from_bytes(content[:8], "little")
    header, data = json.loads(content[8 : 8 + length]), bytearray(content[8 + length :])
    summary = json.loads(header["__metadata__"][KEY])
    data = change(header, summary, data) or data
    if KEY in header["__metadata__"]:
        header["__metadata__"][KEY] = json.dumps(summary)
    text = json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + data)


def test_the_same_state_comes_back(stored):
    job, state, path = stored
    loaded = load_checkpoint(path, job)
    assert (loaded.job, loaded.scale, loaded.records) == (state.job, state.scale, state.records)
    np.testing.assert_array_equal(loaded.image, state.image)
    assert loaded.history.keys() == state.history.keys() == {"s0", "y0", "s1", "y1", "s2", "y2"}
    for name, array in state.history.items():
        np.testing.assert_array_equal(loaded.history[name], array)


def test_numbers_come_back_as_well(tmp_path):
    job = make_job(optimizer="adam")
    save_checkpoint(tmp_path / "x", job, state_after(job, 3))
    history = load_checkpoint(tmp_path / "x", job).history
    assert {name: array.shape for name, array in history.items()} == {
        **dict.fromkeys("xmv", (48, 40, 3)),
        "t": (),
    }
    assert history["t"] == 3


@pytest.mark.parametrize("optimizer", ["lbfgs-nnstyle", "adam"])
@pytest.mark.parametrize("done", [1, 3, 4])
def test_the_run_that_goes_on_from_it_is_the_uninterrupted_one_with_either_optimizer(
    tmp_path, optimizer, done
):
    job = prepare(
        noise(70, 72), noise(72, 70), tiny_weights(), size=72, scales=2, iterations=5, optimizer=optimizer
    )
    save_checkpoint(tmp_path / "x", job, state_after(job, done))
    resumed, whole = run(job, resume=load_checkpoint(tmp_path / "x", job)), run(job)
    np.testing.assert_array_equal(resumed.image, whole.image)
    assert [record.total for record in resumed.losses] == [record.total for record in whole.losses]


def test_those_that_tell_the_number_of_steps_are_read(stored):
    """As they once did; the names of the arrays tell it."""
    job, _, path = stored
    rewritten(path, lambda header, summary, data: summary.update(steps=3))
    np.testing.assert_array_equal(run(job, resume=load_checkpoint(path, job)).image, run(job).image)


def test_without_history_it_would_not_be(stored):
    """The twin that must fail."""
    job, _, path = stored
    state = replace(load_checkpoint(path, job), history=None)
    assert not np.array_equal(run(job, resume=state).image, run(job).image)


def test_scipy_has_no_history(tmp_path):
    job = make_job(optimizer="lbfgs")
    save_checkpoint(tmp_path / "x", job, state_after(job, 2))
    state = load_checkpoint(tmp_path / "x", job)
    assert state.history is None and len(run(job, resume=state).losses) == 4


def test_a_checkpoint_of_the_last_iteration_gives_the_picture(tmp_path):
    job = make_job(scales=1)
    save_checkpoint(tmp_path / "x", job, state_after(job, 4))
    result = run(job, resume=load_checkpoint(tmp_path / "x", job))
    np.testing.assert_array_equal(result.image, run(job).image)
    assert result.reason == "all iterations done" and len(result.losses) == 4


def test_any_library_reads_it(stored):
    from safetensors.numpy import load_file

    _, state, path = stored
    arrays = load_file(path)
    assert set(arrays) == {"image", "s0", "s1", "s2", "y0", "y1", "y2", "records"}
    np.testing.assert_array_equal(arrays["image"], state.image)
    assert arrays["records"][:, 1].tolist() == [record.total for record in state.records]


def test_another_job_is_refused_with_what_differs(stored):
    _, _, path = stored
    with pytest.raises(InputError, match=r"another job: size was 48, is 40; use the same"):
        load_checkpoint(path, make_job(size=40))
    with pytest.raises(InputError, match=r"another job: iterations was 4, is 5; use the same"):
        load_checkpoint(path, make_job(iterations=5))
    other = prepare(STYLE, STYLE, tiny_weights(), size=48, iterations=4, border=0, optimizer="lbfgs-nnstyle")
    with pytest.raises(InputError, match="another job: another content"):
        load_checkpoint(path, other)


def test_it_says_what_it_is_without_a_job(stored):
    job, state, path = stored
    summary = summarize_checkpoint(path)
    assert summary.job == json.loads(json.dumps(job.describe()))
    assert (summary.scale, summary.records) == (0, state.records)


def in_records(header, data):
    """The numbers of the records, to be changed."""
    begin, end = header["records"]["data_offsets"]
    return np.frombuffer(memoryview(data)[begin:end], "<f8")


CHANGES = {
    "an array is missing": lambda header, summary, data: header.pop("s1") and None,
    "an array has another shape": lambda header, summary, data: header["s1"].update(shape=[40, 48, 3]),
    "an array has another type": lambda header, summary, data: header["s1"].update(dtype="I32"),
    "it is cut off": lambda header, summary, data: data[:-100],
    "a number is NaN": lambda header, summary, data: np.frombuffer(data, "<f4").__setitem__(7, np.nan),
    "an array is too large": lambda header, summary, data: header["s1"].update(shape=[1 << 40, 40, 3]),
    "the image is missing": lambda header, summary, data: header.update(z=header.pop("image")),
    "no such scale": lambda header, summary, data: summary.update(scale=1e400),
    "a scale below 0": lambda header, summary, data: summary.update(scale=-1),
    "records are missing": lambda header, summary, data: header.pop("records") and None,
    "names of losses are missing": lambda header, summary, data: summary.pop("losses") and None,
    "a loss has no name": lambda header, summary, data: summary["losses"].pop() and None,
    "records have another type": lambda header, summary, data: header["records"].update(dtype="I64"),
    "records are no table": lambda header, summary, data: header["records"].update(shape=[15]),
    "a record is not finite": lambda header, summary, data: in_records(header, data).__setitem__(1, np.nan),
    "a loss is infinite": lambda header, summary, data: in_records(header, data).__setitem__(4, np.inf),
    "the job is a number": lambda header, summary, data: summary.update(job=3),
}


@pytest.mark.parametrize("what", CHANGES)
def test_damaged_ones_are_refused(stored, what):
    job, _, path = stored
    rewritten(path, CHANGES[what])
    with pytest.raises(InputError, match=r"x\.png\.nnstyle is damaged, or is no checkpoint: delete it"):
        load_checkpoint(path, job)


@pytest.mark.parametrize("version", [None, 0, 2])
def test_those_of_another_version_are_refused_as_such(stored, version):
    job, _, path = stored
    rewritten(path, lambda header, summary, data: summary.update(version=version))
    for read in (summarize_checkpoint, lambda path: load_checkpoint(path, job)):
        with pytest.raises(InputError, match=r"x\.png\.nnstyle cannot be used: another version of nnstyle"):
            read(path)


def test_a_mistake_of_the_program_is_not_called_damage(stored, monkeypatch):
    job, _, path = stored

    def fail(*_):
        raise ValueError("a mistake")

    monkeypatch.setattr("nnstyle.settings.Settings.canvas_pixels", fail)
    with pytest.raises(ValueError, match=r"^a mistake$"):
        load_checkpoint(path, job)


@pytest.mark.parametrize("count", [0, 30_000, pytest.param(MOST_ITERATIONS, marks=pytest.mark.slow)])
def test_the_records_of_the_longest_runs_can_be_read_again(tmp_path, count):
    job = make_job(iterations=MOST_ITERATIONS)
    record = Record(1, 48, 1 / 3 * 1e7, {"content": 1 / 3 * 1e6, "style": 1 / 7}, 1e4 / 3)
    state = State(job.digest, 0, np.zeros((48, 40, 3), np.float32), [], (record,) * count)
    save_checkpoint(tmp_path / "x", job, state)
    records = load_checkpoint(tmp_path / "x", job).records
    assert len(records) == count
    assert records[-1:] == ((replace(record, iteration=count),) if count else ())


def test_records_may_have_losses_of_different_names(tmp_path):
    job = make_job()
    first, second = (
        Record(1, 24, 3.0, {"content": 1.0, "own": 2.0}, 0.5),
        Record(2, 48, 4.0, {"style": 4.0}, 1.5),
    )
    state = State(job.digest, 0, np.zeros((48, 40, 3), np.float32), [], (first, second))
    save_checkpoint(tmp_path / "x", job, state)
    assert load_checkpoint(tmp_path / "x", job).records == state.records


def test_what_could_not_be_read_again_is_not_written(stored, monkeypatch):
    job, state, path = stored
    before = path.read_bytes()
    for limit in ("MOST_HEADER", "MOST_NUMBERS"):
        with monkeypatch.context() as patch, pytest.raises(OSError, match="too many terms"):
            patch.setattr(f"nnstyle.checkpoint.{limit}", 10)
            save_checkpoint(path, job, state)
        assert path.read_bytes() == before


@pytest.mark.parametrize("kind", [np.float64, ">f4"])
def test_an_array_of_another_kind_is_stored_as_float32(stored, kind):
    job, state, path = stored
    save_checkpoint(path, job, replace(state, image=state.image.astype(kind)))
    image = load_checkpoint(path, job).image
    assert image.dtype == np.float32
    np.testing.assert_array_equal(image, state.image)


def test_pictures_and_the_network_may_be_renamed(tmp_path):
    jobs = []
    for name, image in (("a.png", CONTENT), ("b.png", CONTENT), ("b.png", STYLE)):
        Image.fromarray(image).save(tmp_path / name)
        how = {"size": 48, "iterations": 4, "border": 0, "optimizer": "lbfgs-nnstyle"}
        weights = replace(tiny_weights(), path=tmp_path / name)
        jobs.append(prepare(tmp_path / name, STYLE, weights, **how))
    assert jobs[0].digest == jobs[1].digest != jobs[2].digest
    save_checkpoint(tmp_path / "x", jobs[0], state_after(jobs[0], 3))
    assert len(run(jobs[1], resume=load_checkpoint(tmp_path / "x", jobs[1])).losses) == 4
    with pytest.raises(InputError, match="another job: another content; use the same"):
        load_checkpoint(tmp_path / "x", jobs[2])


@pytest.mark.parametrize("scale", [-1, 1])
def test_a_state_of_a_scale_that_the_job_lacks_is_refused(stored, scale):
    job, state, _ = stored
    with pytest.raises(InputError, match="another job"):
        run(job, resume=replace(state, scale=scale))


def test_a_scale_that_the_job_lacks_is_refused_by_the_run(stored):
    job, _, path = stored
    rewritten(path, lambda header, summary, data: summary.update(scale=5))
    with pytest.raises(InputError, match="another job"):
        run(job, resume=load_checkpoint(path, job))


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"text that is no checkpoint at all",
        (MOST_HEADER + 1).to_bytes(8, "little") + b"{}",
        (2).to_bytes(8, "little") + b"{}",
        (100_008).to_bytes(8, "little") + b'{"a":' + b"[" * 100_000 + b"   ",
    ],
)
def test_other_files_are_refused(tmp_path, content):
    (tmp_path / "x").write_bytes(content)
    with pytest.raises(InputError, match="the checkpoint .*x"):
        summarize_checkpoint(tmp_path / "x")


def test_what_is_no_file_is_refused(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for name, words in (("pipe", "not a file"), (".", "not a file"), ("missing", "No such file")):
        with pytest.raises(InputError, match=words):
            summarize_checkpoint(tmp_path / name)


def test_its_name_fits_into_a_folder(tmp_path):
    assert checkpoint_path("out/x.png").as_posix() == "out/x.png.nnstyle"
    longest = tmp_path / ("ü" * 125 + "x.png")
    assert len(os.fsencode(longest.name)) == 255
    path = checkpoint_path(longest)
    path.touch()
    assert path.parent == tmp_path and path != checkpoint_path(longest.with_suffix(".jpg"))
