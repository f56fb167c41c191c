"""How many pictures at a time: as many as there are cores and memory for, and no more."""

from types import SimpleNamespace

import pytest

from nnstyle import InputError, Settings, load_weights
from nnstyle.batch import plan
from nnstyle.batch.arguments import make_parser
from nnstyle.batch.plan import BESIDE, MEMORY, needed_by, plan_here, plan_there
from nnstyle.engine.cpu import CPU, Cpu
from nnstyle.job import prepare
from nnstyle.notes import heard_by
from nnstyle.resources import bytes_needed
from tests.support.pictures import noise

NORMAL, LOW = 1e9, 4e8  # bytes that a picture needs


def needed(low_memory):
    return LOW if low_memory else NORMAL


def arguments(*words):
    return make_parser().parse_args(["-o", "out", *words])


@pytest.fixture
def machine(monkeypatch):
    """A machine of so many cores and bytes, without a GPU."""

    def set_up(cores, free):
        monkeypatch.setattr(plan, "available_cores", lambda: cores)
        monkeypatch.setattr(Cpu, "available", lambda self, **how: free)

    return set_up


@pytest.mark.parametrize(
    ("cores", "pictures_of_memory", "most", "words", "workers", "threads"),
    [
        (8, 100, 1000, "", 8, 1),
        (8, 3, 1000, "", 3, 2),  # memory for three: the cores are shared out
        (8, 1, 1000, "", 1, 8),
        (8, 100, 2, "", 2, 4),  # two pictures, or two chains
        (8, 100, 1000, "--threads 4", 2, 4),
        (8, 100, 1000, "--threads 16", 1, 16),
        (8, 100, 1000, "--workers 3", 3, 2),
        (8, 100, 1000, "--workers 2 --threads 3", 2, 3),
        (1, 100, 1000, "", 1, 1),
    ],
)
def test_workers_and_threads(machine, cores, pictures_of_memory, most, words, workers, threads):
    machine(cores, pictures_of_memory * (NORMAL + BESIDE) + 1)
    with heard_by(lambda message: None):
        found = plan_here(arguments("--device", "cpu", *words.split()), needed, most)
    assert (found.workers, found.threads, found.low_memory) == (workers, threads, False)
    assert found.workers * (NORMAL + BESIDE) <= found.workers * found.memory <= CPU.available()


def test_more_threads_than_cores_are_noted(machine):
    machine(2, 1e12)
    notes = []
    with heard_by(notes.append):
        plan_here(arguments("--workers", "3"), needed, 9)
    assert notes == ["3 workers x 1 threads are more than the 2 cores of this machine"]


def test_where_memory_is_short_less_of_it_is_used(machine):
    machine(2, LOW + BESIDE + 1)
    found = plan_here(arguments(), needed, 9)
    assert found.low_memory and found.workers == 1
    with pytest.raises(InputError, match=r"needs some 1.4 GB of memory, and 800 MB are free"):
        plan_here(arguments("--no-low-memory"), needed, 9)


def test_more_workers_than_memory_allows_are_refused(machine):
    machine(8, 3 * (NORMAL + BESIDE))
    with pytest.raises(InputError, match="choose --workers 3 at most"):
        plan_here(arguments("--workers", "4"), needed, 9)


def test_the_estimate_is_that_of_the_largest_picture():
    weights, settings = load_weights("pocket"), Settings(size=64, border=0, style_scale=2.0)
    estimate = needed_by(settings, weights, paintings=2)(False)
    pictures = [noise(64, 64), noise(128, 128, seed=1), noise(128, 128, seed=2)]
    job = prepare(pictures[0], pictures[1:], weights, settings)
    assert estimate == bytes_needed(job, CPU, False, 64)
    small = prepare(pictures[0][:40], [pictures[1][:80]], weights, settings)
    assert estimate > bytes_needed(small, CPU, False, 64)


@pytest.fixture
def two_gpus(monkeypatch, machine):
    runtime = SimpleNamespace(runtime=SimpleNamespace(getDeviceCount=lambda: 2))
    monkeypatch.setattr(plan.devices, "import_cupy", lambda: SimpleNamespace(cuda=runtime))
    monkeypatch.setattr(plan.devices, "find", lambda name: SimpleNamespace(name="cuda:0"))
    machine(8, 1e11)


@pytest.mark.parametrize(
    ("words", "workers", "gpus"),
    [("", 2, 2), ("--device cuda", 2, 2), ("--device cuda:1", 1, 0), ("--workers 1", 1, 2)],
)
def test_each_gpu_paints_one_picture_at_a_time(two_gpus, words, workers, gpus):
    found = plan_here(arguments(*words.split()), needed, 9)
    assert (found.workers, found.gpus, found.threads) == (workers, gpus, 8 // workers)
    with pytest.raises(InputError, match="a GPU paints one picture at a time"):
        plan_here(arguments("--workers", "3"), needed, 9)


def worker(nthreads=1, memory_limit=0, **resources):
    return {
        "address": "tcp://there:1",
        "nthreads": nthreads,
        "memory_limit": memory_limit,
        "resources": {f"nnstyle-{name}": value for name, value in resources.items()},
    }


@pytest.mark.parametrize(
    ("workers", "low_memory", "resources"),
    [
        ([worker(), worker(8)], False, None),  # no limit
        ([worker(2, 2 * NORMAL + BESIDE)], False, None),
        ([worker(3, 2 * NORMAL + BESIDE), worker(1, 1e12)], True, None),  # any of them may get it
        ([worker(9, 1e9, memory=1.5 * NORMAL)], False, {MEMORY: NORMAL}),
        ([worker(9, 1e9, memory=LOW), worker(9, 1e9, memory=NORMAL)], False, {MEMORY: NORMAL}),
        ([worker(9, 1e9, memory=LOW)], True, {MEMORY: LOW}),
    ],
)
def test_a_cluster_gets_no_more_than_it_has_memory_for(workers, low_memory, resources):
    found = plan_there(arguments(), needed, workers)
    assert (found.device, found.threads) == ("cpu", 1)
    assert (found.low_memory, found.resources) == (low_memory, resources)


@pytest.mark.parametrize(
    ("workers", "words", "message"),
    [
        ([worker(8, 8e8)], "", "the worker tcp://there:1 has 50 MB for each"),
        ([worker(1, 1e8)], "", "has 0 MB for each"),
        ([worker(1, 1e12, memory=1e8)], "", "has 100 MB for each"),
        ([worker(1, LOW + BESIDE)], "--no-low-memory", "needs some 1.0 GB"),
        ([worker()], "--workers 2", "--workers is for this machine"),
        ([worker(2)], "--device cuda", "start one worker for each GPU, with --nthreads 1"),
    ],
)
def test_a_cluster_that_would_be_overcommitted_is_refused(workers, words, message):
    with pytest.raises(InputError) as caught:
        plan_there(arguments(*words.split()), needed, workers)
    assert message in str(caught.value)


def test_workers_that_state_nothing_beside_others_that_do_are_noted():
    notes = []
    with heard_by(notes.append):
        plan_there(arguments(), needed, [worker(), worker(memory=NORMAL)])
    assert notes == [f"1 workers get no pictures: they do not state {MEMORY}"]
