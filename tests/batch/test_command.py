"""Batches on workers in this process: the pictures, the reasons, the report, and the exit status."""

import json
import pickle
import signal
from pathlib import Path
from types import SimpleNamespace

import pytest
from PIL import Image

from nnstyle import InputError, Settings, cli, load_weights
from nnstyle.cli.signals import Ended
from tests.support.command import files
from tests.support.pictures import noise

distributed = pytest.importorskip("distributed")

from nnstyle.batch import cluster, command, work, worker  # noqa: E402
from nnstyle.batch.order import Common, Outcome, read_order  # noqa: E402
from nnstyle.batch.pairs import Pair  # noqa: E402
from nnstyle.batch.plan import Plan  # noqa: E402

SMALL = ["--size", "48", "--iterations", "2", "--border", "0"]
ALL_IN_X = ["photos", "--styles", "x.png", "-o", "out"]


@pytest.fixture
def batch(album, scheduler):
    """Run a batch; return its exit status and the pictures of its report, by their names."""

    def run(*words):
        status = command.main([*words, *SMALL, "--scheduler", scheduler])
        path = Path("out/report.json")
        report = json.loads(path.read_text()) if path.exists() else {"pictures": []}
        return status, {picture["output"]: picture for picture in report["pictures"]}

    return run


def statuses(pictures):
    return {name: picture["status"] for name, picture in pictures.items()}


def nnstyle(*words):
    """What the command for one picture writes."""
    assert cli.main([*words, *SMALL, "-q", "-o", "alone.png"]) == 0
    return Path("alone.png").read_bytes()


def test_each_picture_is_the_file_that_nnstyle_writes(batch):
    status, pictures = batch("photos", "--styles", "x.png", "y.png", "-o", "out", "--seed", "3")
    assert status == 0 and set(statuses(pictures).values()) == {"painted"} and len(pictures) == 6
    for photo, style in (("a", "x"), ("c", "y")):
        picture = Path(f"out/{photo}-{style}.png").read_bytes()
        assert picture == nnstyle(f"photos/{photo}.png", f"{style}.png", "--seed", "3")
    expected = {*pictures, "batch.jsonl", "report.json", "report.html"}
    assert set(files(Path("out"))) == expected


@pytest.mark.parametrize(
    ("style", "more"),
    [
        ("photos", []),  # a folder of paintings
        ("x.png", ["--init", "y.png"]),
        ("x.png", ["--rescale-over", "photos"]),
        ("x.png", ["--preprocessing", "caffe", "--colour", "luminance", "--bits", "16"]),
    ],
    ids=["folder", "init", "rescale-over", "preprocessing"],
)
def test_files_that_all_pictures_share_reach_the_workers(batch, style, more):
    assert batch("photos/b.png", "--styles", style, "-o", "out", *more)[0] == 0
    assert Path(f"out/b-{Path(style).stem}.png").read_bytes() == nnstyle("photos/b.png", style, *more)


def test_the_pairs_of_a_table(batch):
    Path("pairs.csv").write_text("photo,style,output\nphotos/a.png,x.png,\nphotos/b.png,y.png,B.jpg\n")
    status, pictures = batch("--pairs", "pairs.csv", "-o", "out")
    assert status == 0 and list(pictures) == ["a-x.png", "B.jpg"]
    with Image.open("out/B.jpg") as picture:
        assert picture.format == "JPEG"


def test_a_picture_that_fails_stops_no_other(batch, damaged, capsys):
    Path("photos/text.png").write_text("no picture")
    status, pictures = batch(*ALL_IN_X)
    assert status == 1
    assert statuses(pictures) == {
        "a-x.png": "painted",
        "b-x.png": "painted",
        "c-x.png": "painted",
        "damaged-x.png": "failed",
        "text-x.png": "failed",
    }
    # The reason names the photograph, and no folder of a worker.
    assert pictures["text-x.png"]["reason"].startswith("text.png is not a picture")
    assert "damaged.png cannot be decoded" in pictures["damaged-x.png"]["reason"]
    said = capsys.readouterr()
    assert "photos/text.png in the style of x.png: " in said.err
    assert "out: 3 painted, 2 failed in" in said.out
    assert not Path("out/text-x.png").exists()


def test_of_many_failures_the_first_are_printed(batch, capsys):
    for number in range(7):
        Path(f"photos/{number}.png").write_text("no picture")
    assert batch(*ALL_IN_X)[0] == 1
    said = capsys.readouterr().err
    assert said.count("in the style of") == command.MOST_REASONS and "2 more have failed" in said


def test_what_is_finished_is_kept(batch, damaged):
    assert batch(*ALL_IN_X)[0] == 1
    before = {name: Path("out", name).stat().st_mtime_ns for name in ("a-x.png", "b-x.png", "c-x.png")}
    Path("out/b-x.png").unlink()
    Image.open("photos/a.png").rotate(90).save("photos/c.png")  # another photograph of the same name
    Image.open("photos/b.png").rotate(90).save(damaged)  # mended
    status, pictures = batch(*ALL_IN_X, "--resume")
    assert status == 0
    assert statuses(pictures) == {
        "a-x.png": "kept",
        "b-x.png": "painted",
        "c-x.png": "painted",
        "damaged-x.png": "painted",
    }
    assert Path("out/a-x.png").stat().st_mtime_ns == before["a-x.png"]
    assert pictures["a-x.png"]["iterations"] == 2 and pictures["a-x.png"]["seconds"] > 0
    _, pictures = batch(*ALL_IN_X, "--resume", "--seed", "1")  # other settings: other pictures
    assert set(statuses(pictures).values()) == {"painted"}


def test_without_resume_all_is_painted_anew(batch, capsys):
    batch(*ALL_IN_X)
    _, pictures = batch(*ALL_IN_X)
    assert set(statuses(pictures).values()) == {"painted"}
    assert "out has 3 pictures of an earlier batch: --resume keeps them" in capsys.readouterr().err


def test_where_all_is_finished_nobody_is_asked_to_work(batch):
    batch(*ALL_IN_X)
    assert command.main([*ALL_IN_X, *SMALL, "--resume", "--scheduler", "nonsense://here"]) == 0


def test_each_frame_starts_from_the_one_before(batch, damaged):
    Path(damaged).rename("photos/b2.png")
    frames = ["photos/a.png", "photos/b.png", "photos/b2.png", "photos/c.png"]
    film = [*frames, "--styles", "x.png", "y.png", "-o", "out", "--from-previous"]
    status, pictures = batch(*film)
    assert status == 1 and statuses(pictures)["b2-x.png"] == "failed"
    for style in ("x", "y"):
        assert Path(f"out/a-{style}.png").read_bytes() == nnstyle("photos/a.png", f"{style}.png")
        second = nnstyle("photos/b.png", f"{style}.png", "--init", f"out/a-{style}.png")
        assert Path(f"out/b-{style}.png").read_bytes() == second
        # After a frame that failed, the one before it is the latest.
        last = nnstyle("photos/c.png", f"{style}.png", "--init", f"out/b-{style}.png")
        assert Path(f"out/c-{style}.png").read_bytes() == last
    Path("out/b-x.png").unlink()
    _, pictures = batch(*film, "--resume")
    assert statuses(pictures)["a-x.png"] == "kept" and statuses(pictures)["b-x.png"] == "painted"
    assert statuses(pictures)["c-x.png"] == "kept"  # since b-x.png is what it was
    assert Path("out/b-y.png").exists() and statuses(pictures)["b-y.png"] == "kept"


def test_notes_of_a_worker_are_in_the_report(batch):
    frames = [Image.fromarray(noise(48, 48, seed=seed)) for seed in (0, 1)]
    frames[0].save("photos/moving.gif", save_all=True, append_images=frames[1:])
    _, pictures = batch("photos/moving.gif", "--styles", "x.png", "-o", "out")
    assert pictures["moving-x.png"]["notes"] == ["an animation of 2 frames, of which the first is taken"]


def test_quiet_says_nothing(batch, capsys):
    assert batch(*ALL_IN_X, "-q")[0] == 0
    assert capsys.readouterr() == ("", "")


def test_progress_is_told_in_lines(batch, capsys):
    batch(*ALL_IN_X)
    said = capsys.readouterr().err
    assert "3 pictures, on inproc://" in said and "1 thread each; Dask's dashboard" in said
    assert "1 of 3: 1 painted [" in said and "3 of 3: 3 painted [00:00 left]" in said


# The end


def test_an_interrupted_batch_keeps_what_is_finished_and_another_goes_on(batch, monkeypatch, capsys):
    class Interrupted(command.Journal):
        def note(self, line, data):
            super().note(line, data)
            if len(self.lines) == 2:
                raise Ended(signal.SIGINT)

    with monkeypatch.context() as patch:
        patch.setattr(command, "Journal", Interrupted)
        assert batch(*ALL_IN_X)[0] == 130
    assert "interrupted; 1 painted of 3: --resume goes on" in capsys.readouterr().err
    there = set(files(Path("out")))
    assert len(there & {"a-x.png", "b-x.png", "c-x.png"}) == 2 and not any("part" in name for name in there)
    status, pictures = batch(*ALL_IN_X, "--resume")
    assert status == 0 and sorted(statuses(pictures).values()) == ["kept", "kept", "painted"]


def test_a_full_disk_ends_the_batch(batch, monkeypatch, capsys):
    def full(path, data):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(command, "write_over", full)
    assert batch(*ALL_IN_X)[0] == 2
    assert "cannot be written (No space left on device): --resume goes on" in capsys.readouterr().err


def test_a_worker_ends_what_it_paints_when_the_batch_does(album):
    supplies = worker.Supplies("b", load_weights("pocket"), Common(""), Plan("cpu", 1, 1, False), False)
    order = read_order(
        Pair(Path("photos/a.png"), Path("x.png"), "a.png"), Settings(size=48, border=0, iterations=2)
    )
    for is_stopped, reason in ((True, worker.STOPPED), (False, "")):
        supplies.is_stopped = is_stopped
        (album / f"place {is_stopped}").mkdir()
        outcome = worker.painted(order, supplies, album / f"place {is_stopped}")
        assert outcome.reason == reason and bool(outcome.data) != is_stopped


# What goes over the wire


def test_the_weights_reach_each_worker_once_and_no_order_has_them(batch, monkeypatch):
    weights = len(pickle.dumps(load_weights("pocket")))
    setups, orders = [], []
    setup, submit = worker.Supplies.setup, work.Work.submit

    def counted_setup(self, worker):
        setups.append(worker.address)
        return setup(self, worker)

    def counted_submit(self, pair, order, chain):
        orders.append(len(pickle.dumps(order)))
        submit(self, pair, order, chain)
        assert len(self.submitted) <= 2 * work.AHEAD

    monkeypatch.setattr(worker.Supplies, "setup", counted_setup)
    monkeypatch.setattr(work.Work, "submit", counted_submit)
    batch("photos", "--styles", "x.png", "y.png", "photos/a.png", "-o", "out")
    assert len(setups) == len(set(setups)) == 2 and len(orders) == 9
    pictures = 2 * max(path.stat().st_size for path in Path("photos").iterdir())
    assert max(orders) < pictures + 2000 < weights


def test_workers_of_another_version_are_refused(scheduler):
    supplies = worker.Supplies("b", load_weights("pocket"), Common(""), Plan("cpu", 1, 1, False), False)
    supplies.version = "0.0.1"
    with cluster.settings_for_dask(), distributed.Client(scheduler, set_as_default=False) as client:
        with pytest.raises(InputError, match="and 0.0.1 here"), cluster.supplied(client, supplies):
            pass


class Future:
    def __init__(self, status, error=None):
        self.status, self.error = status, error

    def exception(self):
        return self.error

    def result(self):
        return Outcome(job="done")


def test_what_became_of_an_order():
    assert work.outcome_of(Future("finished")).job == "done"
    with pytest.raises(InputError, match="is gone"):
        work.outcome_of(Future("lost"))
    killed = distributed.scheduler.KilledWorker("key", SimpleNamespace(address="tcp://there:1"), 3)
    assert "4 workers have died" in work.outcome_of(Future("error", killed)).reason
    assert work.outcome_of(Future("error", KeyError("x"))).reason == "KeyError: 'x'"


# Bad input


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("photos --styles x.png -o x.png", "the folder x.png cannot be made"),
        ("photos --styles x.png -o photos --name {photo}.png", "would replace an input"),
        ("photos --styles x.png -o . --name x.png --size 48", "would be called x.png"),
        ("photos/a.png --styles x.png -o . --name x.png", "would replace an input"),
        ("photos --styles x.png -o out --size 31", "32"),
        ("photos --styles x.png -o out --colour green", "green"),
        ("photos --styles x.png -o out --style-layers conv9_9", "conv9_9"),
        ("photos --styles x.png -o out --alpha 0 --beta 0", "nothing to optimize"),
        ("photos --styles x.png -o out --weights gone.h5", "gone.h5"),
        ("photos --styles x.png -o out --init gone.png", "gone.png does not exist"),
        ("photos --styles x.png -o out --name {photo}.jpg --bits 16", "cannot have 16 bits"),
        ("photos --styles x.png -o out --name {photo}.jpg --transparency keep", "cannot be transparent"),
        ("photos --styles x.png -o out --workers 0", "whole number above 0"),
        ("photos --styles x.png -o out --scheduler nonsense://here", "no Dask scheduler to use at nonsense"),
        ("photos --styles x.png -o out --scheduler tls://127.0.0.1:1", "needs certificates"),
        ("photos --styles x.png", "-o/--output"),
    ],
)
def test_bad_input_is_one_line_and_status_2(album, capsys, words, message):
    before = files(album), files(album / "photos")
    assert command.main(words.split()) == 2
    said = capsys.readouterr().err
    assert message in said and said.count("\n") == 1
    assert (files(album), files(album / "photos")) == before


def test_more_workers_than_a_cluster_are_not_asked_for(batch, capsys):
    assert batch(*ALL_IN_X, "--workers", "2")[0] == 2
    assert "--workers is for this machine" in capsys.readouterr().err


def test_without_dask_one_line_says_what_to_install(album, monkeypatch, capsys):
    monkeypatch.setattr(command.importlib.util, "find_spec", lambda name: None)
    assert command.main(ALL_IN_X) == 2
    assert capsys.readouterr().err == "nnstyle-batch: Dask is not installed: pip install 'nnstyle[batch]'\n"
    assert command.main(["--help"]) == 0
