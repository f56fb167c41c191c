"""Batches on workers that are processes: killed ones, Ctrl-C, and machines that share nothing."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from PIL import Image

from tests.support.command import ENVIRONMENT, command, files, take_signals

pytest.importorskip("distributed")
import psutil  # comes with it

from tests.campaigns import batch as campaign
from tests.support.patience import PATIENCE

pytestmark = pytest.mark.slow
SHORT = ["--count", "9", "--damaged", "2", "--rounds", "1", "--film-iterations", "5"]
SOON = 60  # seconds, far less than PATIENCE: that processes end soon is what is tested


@pytest.mark.parametrize("part", campaign.PARTS)
def test_a_campaign_in_short(tmp_path, capfd, part):
    # So few pictures are painted in less time than it takes to start.
    words = [*SHORT, "--only", part, "--most-overhead", "10000", "--findings", str(tmp_path / "findings")]
    assert campaign.main(words) == 0
    said = capfd.readouterr().out
    expected = {"overhead": "9 pictures, 0 reasons, 0 twice", "frames": "a moving film: "}
    assert expected.get(part, "7 pictures, 2 reasons, 0 twice") in said


@pytest.fixture
def batch(album):
    """A batch of two long pictures and a short one, started as from a terminal, with its workers."""
    words = ["photos", "--styles", "x.png", "-o", "out", "--workers", "2", "--device", "cpu"]
    words += ["--size", "48", "--border", "0", "--iterations", "40"]
    process = subprocess.Popen(
        command(words, ("-m", "nnstyle.batch")),
        env=ENVIRONMENT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        preexec_fn=take_signals,
    )
    yield process
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
    process.communicate()


def wait_for(condition, seconds=PATIENCE):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "nothing has happened"
        time.sleep(0.05)


def is_gone(process):
    return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_all_processes_and_leaves_whole_files(batch, number):
    wait_for(lambda: Path("out/batch.jsonl").exists() and Path("out/batch.jsonl").read_text())
    children = psutil.Process(batch.pid).children(recursive=True)
    assert len(children) >= 2
    os.killpg(batch.pid, number) if number == signal.SIGINT else os.kill(batch.pid, number)
    out, err = batch.communicate(timeout=PATIENCE)
    assert batch.returncode == 128 + number and "Traceback" not in err
    assert "painted of 3: --resume goes on" in err
    wait_for(lambda: all(map(is_gone, children)), SOON)
    there = files(Path("out"))
    finished = {json.loads(line)["output"] for line in there.pop("batch.jsonl").splitlines()}
    assert set(there) == finished and 1 <= len(finished) < 3
    for name in finished:
        with Image.open(Path("out", name)) as picture:
            picture.load()
    again = subprocess.run([*batch.args, "--resume"], env=ENVIRONMENT, capture_output=True, text=True)
    assert again.returncode == 0, again.stderr
    assert f"{3 - len(finished)} painted, {len(finished)} kept" in again.stdout


def test_ctrl_c_while_the_workers_start_waits_for_them_and_ends_them(batch):
    wait_for(lambda: psutil.Process(batch.pid).children(recursive=True))
    children = psutil.Process(batch.pid).children(recursive=True)
    os.killpg(batch.pid, signal.SIGINT)
    _, err = batch.communicate(timeout=PATIENCE)
    assert batch.returncode == 130 and "Traceback" not in err, err
    assert err.endswith("nnstyle: interrupted; 0 painted of 3: --resume goes on\n")
    wait_for(lambda: all(map(is_gone, children)), SOON)


def test_a_command_that_is_killed_leaves_no_workers(batch):
    wait_for(lambda: len(psutil.Process(batch.pid).children(recursive=True)) >= 2)
    children = psutil.Process(batch.pid).children(recursive=True)
    batch.kill()
    wait_for(lambda: all(map(is_gone, children)), SOON)


def test_a_scheduler_that_is_gone_ends_the_batch(album):
    port = campaign.free_port()
    address = f"tcp://127.0.0.1:{port}"
    # One process has the scheduler and a worker; it ends when the first picture is there.
    program = f"""
import sys, time
from pathlib import Path
from distributed import LocalCluster
if __name__ == "__main__":
    with LocalCluster(n_workers=1, threads_per_worker=1, processes=False, protocol="tcp", host="127.0.0.1",
                      scheduler_port={port}, dashboard_address="127.0.0.1:0"):
        journal = Path("out/batch.jsonl")
        while not (journal.exists() and journal.read_text()):
            time.sleep(0.05)
"""
    with subprocess.Popen(
        [sys.executable, "-c", program], env=ENVIRONMENT, stderr=subprocess.DEVNULL
    ) as other:
        words = ["photos", "--styles", "x.png", "-o", "out", "--scheduler", address]
        words += ["--size", "48", "--border", "0", "--iterations", "40"]
        try:
            ended = subprocess.run(
                command(words, ("-m", "nnstyle.batch")),
                env=ENVIRONMENT,
                capture_output=True,
                text=True,
                timeout=PATIENCE,
            )
        finally:
            other.kill()
    assert ended.returncode == 2 and "is gone: --resume goes on" in ended.stderr, ended.stderr
    assert "Traceback" not in ended.stderr
