"""The campaigns in short, and that they would find something."""

import contextlib
import io
import itertools
import re
import subprocess
import sys
import time
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

import nnstyle
from nnstyle.benchmark.peak import peak_so_far
from nnstyle.checkpoint import State
from nnstyle.cli import main
from nnstyle.pictures.saving import save_image
from tests.support.command import make_pictures
from tests.support.pictures import noise
from tests.support.tiny import tiny_weights

from . import fuzz, hostile_checkpoints, kills, long_life, worker
from .findings import Findings


@pytest.mark.slow
def test_killed_runs_leave_nothing_half(tmp_path):
    # On a busy machine, a process may stand still between an iteration and its checkpoint.
    short = ["--count", "6", "--most-lost", str(4 * kills.INTERVAL)]
    assert kills.main([*short, "--findings", str(tmp_path)]) == 0


@pytest.mark.slow
def test_what_nobody_should_give_is_refused_in_one_line(tmp_path):
    assert fuzz.main(["--minutes", "0.5", "--findings", str(tmp_path)]) == 0


@pytest.mark.slow
def test_a_long_life_is_flat(tmp_path):
    # After so few runs the libraries' own memory still grows: only a great leak would be found here.
    short = ["--minutes", "0.25", "--most-rise", "200"]
    assert long_life.main([*short, "--findings", str(tmp_path)]) == 0


def test_findings_are_kept(tmp_path, capsys):
    findings = Findings(tmp_path / "found")
    for _ in range(2):
        findings.add("a crash: of it", "first line\nsecond line \udcff", {"case.npz": b"123"})
    assert findings.count == 2 and "FOUND: a crash: of it: first line second" in capsys.readouterr().out
    folders = sorted((tmp_path / "found").iterdir())
    assert [folder.name for folder in folders] == ["a-crash-of-it-1", "a-crash-of-it-2"]
    assert (folders[0] / "case.npz").read_bytes() == b"123" and (folders[1] / "finding.txt").exists()


@pytest.mark.parametrize("ending", kills.ENDINGS)
def test_half_a_picture_is_not_whole(tmp_path, ending):
    path = tmp_path / f"picture{ending}"
    save_image(noise(40, 40), path, {"iterations": 30})
    content = path.read_bytes()
    assert kills.is_whole(content)
    for length in (0, len(content) // 2, len(content) - len(content) // 10):
        assert not kills.is_whole(content[:length])
    plain = io.BytesIO()
    Image.fromarray(noise(40, 40)).save(plain, Image.registered_extensions()[ending])
    assert not kills.is_whole(plain.getvalue())  # no settings inside


@pytest.mark.slow
def test_the_whole_checkpoint_is_resumed_and_the_others_are_changed(tmp_path, monkeypatch, capsys):
    """Otherwise all would be refused for what they have in common."""
    monkeypatch.chdir(tmp_path)
    make_pictures(tmp_path)
    mutants = hostile_checkpoints.mutants(np.random.default_rng(0))
    name, whole = next(mutants)
    (tmp_path / name).write_bytes(whole)
    assert main(hostile_checkpoints.ARGUMENTS) == 0
    assert "going on after iteration 2 of 4" in capsys.readouterr().err
    assert len({data for _, data in itertools.islice(mutants, 100)} - {whole}) > 90


@pytest.fixture
def campaign(tmp_path):
    """A campaign of killed runs in the middle of a story, after whose kill all is as it should be."""
    (tmp_path / "work").mkdir()
    campaign = kills.Campaign(tmp_path / "work", None, Findings(tmp_path / "found"), most_lost=1)
    campaign.story = kills.Story(".png", "some bytes", with_checkpoints=True, resumed=True, kills=1)
    campaign.moment = kills.MOMENTS[0]
    campaign.place = tmp_path / "place"
    campaign.place.mkdir()
    campaign.output = campaign.place / "out.png"
    save_image(noise(40, 40), tmp_path / "whole.png", {"iterations": 30})
    campaign.reference, campaign.earlier = (tmp_path / "whole.png").read_bytes(), b"some bytes"
    campaign.output.write_bytes(campaign.earlier)
    write_checkpoint(campaign)
    campaign.begin = time.time()
    campaign.reader = SimpleNamespace(lines=[], reports=lambda: [(campaign.begin, 1)])
    return campaign


def write_checkpoint(campaign):
    picture = noise(32, 32)
    job = nnstyle.prepare(picture, picture, tiny_weights(), size=32, border=0, iterations=2)
    state = State(job.digest, 0, np.zeros((32, 32, 3), np.float32), [])
    nnstyle.save_checkpoint(campaign.place / "out.png.nnstyle", job, state)


def write_whole(campaign):
    campaign.output.write_bytes(campaign.reference)


def write_half(campaign):
    campaign.output.write_bytes(campaign.reference[: len(campaign.reference) // 2])


def write_another(campaign):
    save_image(noise(40, 40, seed=1), campaign.output, {"iterations": 30})


def remove_output(campaign):
    campaign.output.unlink()


def damage_checkpoint(campaign):
    path = campaign.place / "out.png.nnstyle"
    path.write_bytes(path.read_bytes()[:-1])


def ask_for_no_checkpoint(campaign):
    campaign.story.with_checkpoints = False


def report_late(campaign):
    """Iterations that came long after the checkpoint."""
    last = campaign.begin + 1.5
    campaign.reader.reports = lambda: [(campaign.begin, 1), (last, 9)]


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (write_whole, None),
        (write_half, "the output is damaged"),
        (write_another, "the output is damaged"),
        (remove_output, "the output is damaged"),
        (damage_checkpoint, "the checkpoint is damaged"),
        (ask_for_no_checkpoint, "a checkpoint that was not asked for"),
        (report_late, "too much work was lost: 1.5"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_what_a_kill_may_not_leave_is_found(campaign, capsys, damage, words):
    campaign.look()
    assert campaign.findings.count == 0
    damage(campaign)
    campaign.look()
    assert campaign.findings.count == (words is not None)
    assert f"FOUND: {words or ''}" in capsys.readouterr().out or words is None


def leave_a_file(campaign):
    write_whole(campaign)
    (campaign.place / ".nnstyle-x.part").touch()


@pytest.mark.parametrize(
    ("work", "status", "words"),
    [
        (write_whole, 0, None),
        (write_whole, 1, "a later run fails"),
        (write_half, 0, "a later run makes another picture"),
        (write_another, 0, "a later run makes another picture"),
        (remove_output, 0, "a later run makes another picture"),
        (leave_a_file, 0, "files are left lying: .nnstyle-x.part"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_what_a_later_run_may_not_do_is_found(campaign, capsys, monkeypatch, work, status, words):
    @contextlib.contextmanager
    def start(place, *arguments, **how):
        (campaign.place / "out.png.nnstyle").unlink()
        work(campaign)
        yield SimpleNamespace(stderr=["iteration 1 of 2\n"], wait=lambda seconds: status)

    monkeypatch.setattr(kills, "start", start)
    campaign.run_to_the_end()
    assert campaign.findings.count == (words is not None)
    assert f"FOUND: {words or ''}" in capsys.readouterr().out or words is None


def two_lines(words):
    print("nnstyle: this is wrong\nand so is that", file=worker.sys.stderr)
    return 2


def replaces_an_input(words):
    with open("content.png", "wb") as file:
        file.write(b"gone")
    return 0


@pytest.mark.parametrize("program", [two_lines, replaces_an_input], ids=lambda program: program.__name__)
def test_a_wrong_program_is_found(tmp_path, monkeypatch, program):
    monkeypatch.chdir(tmp_path)
    for name in ("content.png", "style.png"):
        (tmp_path / name).write_bytes(b"picture")
    monkeypatch.setattr(worker, "main", program)
    with open("stderr", "w+b", buffering=0) as errors, io.TextIOWrapper(errors, write_through=True) as text:
        monkeypatch.setattr(worker.sys, "stderr", text)
        answer = worker.try_command(["-o", "out.png"], errors)
    assert answer.outcome == worker.FOUND


@pytest.mark.parametrize("image", [None, np.zeros((3, 3, 3))])
def test_a_wrong_result_is_found(monkeypatch, image):
    monkeypatch.setattr(
        worker, "stylize", lambda: nnstyle.Result(image, [], None, "") if image is not None else 5
    )
    assert worker.try_call({}).outcome == worker.FOUND


def test_an_error_of_another_kind_is_found(monkeypatch, tmp_path):
    def fail(**arguments):
        raise TypeError("not what is named")

    monkeypatch.setattr(worker, "stylize", fail)
    answer = worker.answer(("settings", [1, 2]), None)
    assert answer.outcome == worker.FOUND and "not what is named" in answer.text


def take_nothing():
    pass


def take_memory():
    np.ones(80_000_000, np.uint8)


def let_another_take_memory():
    size = 80_000_000 + max(peak_so_far(), worker.peak_of_children())
    subprocess.run([sys.executable, "-c", f"b'x' * {size}"], check=True)


def take_time():
    end = worker.processor_seconds() + 0.1
    while worker.processor_seconds() < end:
        pass


@pytest.mark.parametrize(
    ("program", "most_seconds", "words"),
    [
        (take_nothing, 10, None),
        (take_memory, 10, r"it took \d+ MB"),
        pytest.param(let_another_take_memory, 10, r"it took \d+ MB", marks=pytest.mark.slow),
        (take_time, 0.05, r"it took \d+ s of processor time"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_what_takes_far_too_much_is_found(monkeypatch, program, most_seconds, words):
    def try_command(words, errors):
        program()
        return worker.Answer(worker.DONE)

    monkeypatch.setattr(worker, "try_command", try_command)
    monkeypatch.setattr(worker, "MOST_RISE", 50_000_000)
    monkeypatch.setattr(worker, "MOST_WORK", {"commands": most_seconds})
    answer = worker.answer(("commands", []), None)
    assert answer.outcome == (worker.FOUND if words else worker.DONE)
    assert re.fullmatch(words or "", answer.text.strip())


@pytest.mark.slow
def test_a_death_and_a_hang_are_found(tmp_path):
    ours = worker.Worker(tmp_path, fuzz.MOST_MEMORY)
    kill = ("commands", ["--help"])
    assert ours.try_case(kill, 60).outcome == worker.DONE
    ours.process.kill()
    ours.process.join()
    died = ours.try_case(kill, 60)
    assert died.outcome == worker.FOUND and "died" in died.text
    hung = ours.try_case(kill, 0)  # no program is that fast
    assert hung.outcome == worker.FOUND and "no end" in hung.text
    assert ours.try_case(kill, 60).outcome == worker.DONE
    ours.stop()


def test_what_grows_is_found():
    flat = [(1e8 + 1e6 * (run % 7), 6, 4) for run in range(100)]
    assert long_life.judge(flat, [], 16) == []
    leaking = [(memory + 2e5 * run, 6, 4) for run, (memory, _, _) in enumerate(flat)]
    assert "memory has risen by" in long_life.judge(leaking, [], 16)[0]
    opening = [(memory, 6 + run // 10, 4) for run, (memory, _, _) in enumerate(flat)]
    assert "open files" in long_life.judge(opening, [], 16)[0]
    starting = [(memory, 6, 4 + run // 10) for run, (memory, _, _) in enumerate(flat)]
    assert "threads" in long_life.judge(starting, [], 16)[0]
    assert "left lying: x.part" in long_life.judge(flat, ["x.part"], 16)[0]
