r"""
13. On a GPU
============

*Not in the paper. In 2016 its authors gave a time: up to an hour for 512 x 512 px, on a K40.*

A graphics card has its own memory, its own queue of work, and arithmetic to spare. CuPy gives it
NumPy's functions. What has to change in the layers and the losses? Nothing, if they never name
NumPy; that is checked here on arrays that refuse NumPy as firmly as a GPU's arrays do. What does
change is what limits the time, and how time must be measured. This lesson derives the limit, and
shows the stopwatch that lies. Where it finds no GPU, it says so and measures none.
"""

# %%
# The same lines
# --------------
# No layer and no loss of this package calls ``np.something``. They ask for the library that the array
# at hand belongs to, ``xp = array_module(array)`` (``nnstyle/arrays.py``), and call ``xp.maximum`` or
# ``xp.sum``. Whether that is true cannot be seen with NumPy's own arrays. ``lessons/strict_arrays.py``
# has arrays as strict as a GPU's. They compute with their own kind only: a NumPy array handed to one
# of their functions is refused, and so is one of theirs handed to NumPy. The one way back is ``get``,
# as with CuPy's (``to_host`` calls it).
#
# .. literalinclude:: ../../strict_arrays.py
#    :start-at: class StrictArray

import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from lessons import tools
from lessons.strict_arrays import StrictArray, StrictDevice
from nnstyle import Engine, InputError, Network, Settings, layers, losses, stylize
from nnstyle.benchmark import work
from nnstyle.benchmark.lbfgs import lbfgs_seconds
from nnstyle.engine import devices
from nnstyle.objective import Objective, paper_terms, set_targets
from nnstyle.pictures import preprocess

# %%
# The whole way, from a picture to equation (7) and its gradient, on these arrays:

weights = tools.weights(__name__)
pair = tools.photo(64), tools.painting(64)
pictures = [preprocess(picture, weights.preprocessing) for picture in pair]
noise = np.random.default_rng(0).normal(scale=60, size=pictures[0].shape).astype(np.float32)
settings = Settings(tv_weight=1e-3, beta=1e6, layer_weights=(1 / 5,) * 5)


def equation_7(network, content, style, settings, engine=losses):
    terms = paper_terms(settings, engine)
    set_targets(terms, network, content, style)
    return Objective(network, terms)


def loss_and_gradient(pooling, carry):
    """Equation (7) and its gradient at a noisy picture; `carry` puts arrays where they are to be."""
    its_weights = {name: tuple(map(carry, layer)) for name, layer in weights.items()}
    network = Network(its_weights, pooling, engine=layers)
    return equation_7(network, *map(carry, pictures), settings)(carry(noise))


for pooling in ("max", "average"):
    loss, gradient = loss_and_gradient(pooling, np.asarray)
    strict_loss, strict_gradient = loss_and_gradient(pooling, StrictArray)
    assert strict_loss == loss and np.array_equal(strict_gradient.get(), gradient)
    print(f"{pooling:>7} pooling: loss {strict_loss:.6e}, and not a bit of it differs")

# %%
# So nothing of NumPy's was called on the way, and no array was carried back in silence. Those were the
# plain layers, ``engine=layers``. ``Engine`` has the same functions, fast, and asks its device for the
# convolution. A GPU is a ``Gpu``, and its fast one, ``winograd_conv_whole``, is few operations on whole
# arrays. SciPy's L-BFGS-B works on the host, the processor: for each evaluation a picture goes up and a
# gradient comes down. ``nnstyle/optimizers/lbfgs.py`` is the same method on the GPU. Now all of it, up
# to a third picture:

how = {"size": 64, "iterations": 5, "optimizer": "lbfgs-nnstyle"}
strictly_painted, painted = (stylize(*pair, device=device, **how) for device in (StrictDevice(), "cpu"))
levels = np.abs(strictly_painted.image.astype(int) - painted.image).max()
totals = strictly_painted.losses[-1].total, painted.losses[-1].total
print(f"loss {totals[0]:.6e} and {totals[1]:.6e}, {levels} levels apart")
assert levels <= 2  # the sums are taken in another order

# %%
# What limits the time
# --------------------
# A layer has to do its sums and products, and it has to read its input and its weights and write
# its output at least once. With a rate :math:`R` of operations and a rate :math:`B` of bytes a
# second, it cannot take less than
#
# .. math::
#
#    t \geq \max\left(\frac{\text{operations}}{R}, \frac{\text{bytes}}{B}\right)
#
# and which of the two limits counts is decided by the layer's *intensity*, operations per byte,
# against :math:`R / B` (the roofline model; Williams, Waterman and Patterson, 2009). For a 3 x 3
# convolution with :math:`M` positions:


def intensity(positions, channels, filters, bytes_each=4):
    """Operations of a plain 3x3 convolution, and how many per byte moved."""
    operations = 2 * 9 * channels * filters * positions
    numbers = positions * (channels + filters) + 9 * channels * filters
    return operations, operations / (numbers * bytes_each)


def bandwidth(engine, megabytes=64):
    """Bytes a second of copying an array that no cache holds: read once, written once."""
    halves = [np.ones(megabytes * 131_072, np.float32) for _ in range(2 * engine.threads)]
    copy = lambda i: np.copyto(halves[2 * i], halves[2 * i + 1])
    one_round = tools.seconds(lambda: engine.map(copy, range(engine.threads)))
    return 2 * halves[0].nbytes * engine.threads / one_round


with Engine() as engine:
    here = work.matmul_rate(engine), bandwidth(engine)
# From NVIDIA's data sheet of the H100 SXM: float32 without tensor cores, and its memory.
gpu = 67e12, 3.35e12

vgg19, size, points = work.make_weights("vgg19"), 512, []
for name in Network(vgg19).layers:
    if name.startswith("pool"):
        size //= 2
    else:
        points.append((name, *intensity(size**2, *vgg19[name][0].shape[2:])))

figure, axis = tools.plt.subplots(figsize=(7, 3.4))
x = np.geomspace(1, 1000, 200)
for (rate, bytes_rate), label in ((here, "this machine, measured"), (gpu, "H100 SXM, data sheet")):
    axis.loglog(x, np.minimum(rate, x * bytes_rate) / 1e9, label=label)
for _, _, x in points:
    axis.axvline(x, color="gray", linewidth=0.7, alpha=0.6)
axis.annotate("conv1_1", (points[0][2], 2), rotation=90, ha="right", fontsize=8)
axis.annotate("conv1_2", (points[1][2], 2), rotation=90, ha="right", fontsize=8)
axis.set(xlabel="operations per byte moved", ylabel="limit, $10^9$ operations/s", ylim=(1, 1e5))
axis.set_title("each grey line is a convolution of VGG-19, at 512 px", fontsize=9)
figure.legend(ncols=2, loc="outside lower center")
tools.save(figure, "l13_roofline")

# %%
# Left of a bend memory decides, right of it arithmetic. For the GPU, ``conv1_1`` with its three
# channels is limited by memory, and all others by arithmetic: this algorithm is a good one for a GPU.

bend = gpu[0] / gpu[1]
assert points[0][2] < bend and all(x > bend for _, _, x in points[1:])
operations = 2 * sum(operations for _, operations, _ in points)  # there and back
floor, host = operations / gpu[0], lbfgs_seconds(512)
both_ways = 2 * 512 * 512 * 3 * 4 / 64e9  # PCI Express 5.0 x16: 64e9 bytes a second and direction
print(f"VGG-19's convolutions, there and back: {operations:.2e} operations")
print(f"GPU: at least {floor * 1e3:.1f} ms; both copies: {both_ways * 1e3:.2f} ms")
print(f"host: {host * 1e3:.0f} ms of SciPy's L-BFGS-B an iteration, on this machine")
assert both_ways < floor / 10

# %%
# The GPU's times are limits, computed, not measured. They tell what to do first all the same. Copying is
# next to nothing; but where the host needs several times the GPU's limit, L-BFGS has to move to the
# GPU too, or it decides the time (Amdahl's law; second exercise). So by default it does.
#
# The stopwatch that lies
# -----------------------
# A GPU has a queue. A call puts work into it and comes back at once; only whoever asks for a
# number waits. It can be had without a GPU: a thread that does what lies in its queue, in order.


stream = ThreadPoolExecutor(1)
x, (kernel, bias) = np.ones((64, 64, 128), np.float32), weights["conv3_2"]


def synchronize():
    """Wait until all is done that was asked for before."""
    stream.submit(int).result()


def stopwatch(wait):
    """Seconds of ten convolutions, by a clock that waits for them or does not."""
    synchronize()  # nothing that came before may count
    began = time.perf_counter()
    for _ in range(10):
        stream.submit(layers.conv, x, kernel, bias)
    if wait:
        synchronize()
    return time.perf_counter() - began


waits = {"without waiting": False, "with synchronize()": True}
times = {how: min(stopwatch(wait) for _ in range(3)) for how, wait in waits.items()}
for how, seconds in times.items():
    print(f"ten convolutions, {how:>18}: {seconds * 1e3:8.2f} ms")
assert times["with synchronize()"] > 10 * times["without waiting"]

# %%
# The first line is the time of *asking*. A measurement on a GPU therefore warms up (the first call
# compiles), waits, starts the clock, launches, and waits again: ``cupyx.profiler.benchmark`` does so,
# with events that the GPU stamps. The objective waits in ``squared_sum`` of ``nnstyle/losses.py``,
# where a loss becomes a Python float.
#
# On a GPU, if there is one
# --------------------------


def times_on_a_gpu(rounds=10):
    """Milliseconds of an evaluation at 512 px; None without CuPy or a GPU."""
    try:
        gpu = devices.find("cuda")
    except InputError:  # it says what is missing
        return None
    from cupyx.profiler import benchmark

    with Engine(gpu) as its_engine:
        network = Network(weights, engine=its_engine)
        content, style, image = map(gpu.to_device, work.make_images(512))
        settings = Settings().decided(weights, 512, 512)
        objective = equation_7(network, content, style, settings, its_engine)
        return benchmark(objective, (image,), n_repeat=rounds).gpu_times.ravel() * 1e3


gpu_times = times_on_a_gpu()
print("no GPU, no measurement" if gpu_times is None else f"{np.median(gpu_times):.1f} ms an evaluation")

# %%
# What could go wrong
# -------------------
# *A silent copy.* ``np.maximum`` on a GPU's array would be the end of the advantage if it worked:
# down to the host, compute, up again. CuPy refuses, and so do the arrays above:

strict = StrictArray(np.ones((4, 4, 3)))
for mistake in (lambda: np.asarray(strict), lambda: np.maximum(strict, 0), lambda: strict + np.ones(3)):
    tools.must_fail(mistake, TypeError)

# %%
# Exercises
# ---------
# .. exercise::
#
#    From how many channels on (as many in as out, a large picture) is a convolution limited by
#    the GPU's arithmetic and no longer by its memory?
#
# .. solution::
#
# With many positions the weights do not count: :math:`18 C^2 / (8 C) = 2.25\, C` operations per
# byte. The limit is :math:`R / B`, so :math:`C \geq R / (2.25 B)`:

print(f"from {bend / 2.25:.1f} channels on")
assert intensity(1e9, 8, 8)[1] < bend < intensity(1e9, 9, 9)[1]

# %%
# .. exercise::
#
#    Suppose an iteration takes 6 ms on the GPU, and 50 ms of L-BFGS-B on the host. How much
#    faster is the whole with a GPU ten times as fast? And with an L-BFGS ten times as fast?
#
# .. solution::

before, faster_gpu, faster_host = 6 + 50, 0.6 + 50, 6 + 5
print(f"GPU: {before / faster_gpu:.2f} times; L-BFGS: {before / faster_host:.2f} times")
assert before / faster_gpu < 1.11 and before / faster_host > 5

# %%
# Where next
# ----------
# ``nnstyle/engine/devices.py`` finds the GPU, and ``python -m nnstyle.benchmark`` measures
# (``nnstyle/benchmark/README.md``).
