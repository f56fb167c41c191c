"""Train the embedded network: ``python -m weights.train_pocket tiny-imagenet-200 -o FOLDER``.

Needs the extra ``train``. After every epoch, everything is kept in the folder: the same command goes on
where it was interrupted, and comes to the same result.
"""

import argparse
import sys
import time
from pathlib import Path

try:
    import torch
    from torch.nn import functional as F
except ImportError:
    print("train_pocket: PyTorch is not installed: pip install -e '.[train]'", file=sys.stderr)
    sys.exit(2)
from tqdm import tqdm

from nnstyle.cli.arguments import Parser
from nnstyle.files import whole_file

from .classifier import WIDTHS, Classifier, distort
from .pocket_file import FILE, write_card, write_network
from .tiny_imagenet import SIZE, DataError, load

# What is written into the folder of the results, beside FILE and its card.
CACHE, CHECKPOINT = "tiny-imagenet.npz", "checkpoint.pt"
BATCH = 128
# Small pictures first: an epoch at 32 px costs a quarter of one at 64, and teaches nearly as much.
SCHEDULE = "32:16,48:10,64:10"


def main(argv=None):
    """Train, evaluate, fold, rescale, write; return the exit status: 0, or 2 for bad input."""
    arguments = make_parser().parse_args(argv)
    torch.manual_seed(arguments.seed)
    try:
        check_no_input_is_replaced(arguments)
        data = load(arguments.data, arguments.output / CACHE)
        training = Training(arguments, data)
        training.resume()
    except DataError as error:
        print(f"train_pocket: {error}", file=sys.stderr)
        return 2
    for epoch in range(training.epoch, len(arguments.epochs)):
        began = time.perf_counter()
        loss = training.run_epoch(epoch)
        training.save()
        print(f"epoch {epoch + 1}: loss {loss:.3f}, {time.perf_counter() - began:.0f} s", flush=True)
    accuracy = training.evaluate()
    path = write_network(training.model, data, arguments.output)
    print(write_card(path, arguments, data, accuracy))
    return 0


def check_no_input_is_replaced(arguments):
    """Raise DataError if a result would be written into the data set, be it through a link."""
    data = arguments.data.resolve()
    for name in (CACHE, CHECKPOINT, FILE):
        path = arguments.output / name
        if path.resolve().is_relative_to(data):
            raise DataError(f"{path} would lie in the data set: give another folder with -o")


def schedule(text):
    """``32:2,64:1`` -> [32, 32, 64]: the size of the pictures in each epoch."""
    parts = [part.split(":") for part in text.split(",")]
    sizes = [int(size) for size, times in parts for _ in range(int(times))]
    if not sizes or not all(32 <= size <= 2 * SIZE for size in sizes):
        raise argparse.ArgumentTypeError(f"{text} should be like {SCHEDULE}, sizes from 32 to {2 * SIZE}")
    return sizes


def make_parser():
    """The parser of ``python -m weights.train_pocket``."""
    parser = Parser(prog="python -m weights.train_pocket", description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("data", type=Path, metavar="FOLDER", help="tiny-imagenet-200, as it is published")
    add("-o", "--output", type=Path, default=Path("pocket-training"), help="(default: %(default)s)")
    add(
        "--epochs",
        type=schedule,
        default=SCHEDULE,
        metavar="PX:N,..",
        help="sizes of the pictures, and for how many epochs each (default: %(default)s)",
    )
    add("--rate", type=float, default=0.15, help="learning rate at its highest (default: %(default)s)")
    add("--seed", type=int, default=0)
    add(
        "--device", default="cuda" if torch.cuda.is_available() else "cpu", help="(default here: %(default)s)"
    )
    return parser


class Training:
    """A network on its way, with all that is needed to go on after an interruption."""

    def __init__(self, arguments, data):
        self.arguments, self.epoch = arguments, 0
        self.device = torch.device(arguments.device)
        self.data = {name: torch.from_numpy(array) for name, array in data.items()}
        self.model = Classifier(1 + int(data["train_classes"].max()), WIDTHS)
        self.model.to(self.device, memory_format=torch.channels_last)
        kernels = [p for p in self.model.parameters() if p.ndim > 1]
        others = [p for p in self.model.parameters() if p.ndim == 1]
        groups = [{"params": kernels, "weight_decay": 5e-4}, {"params": others, "weight_decay": 0.0}]
        self.optimizer = torch.optim.SGD(groups, lr=arguments.rate, momentum=0.9, nesterov=True)
        self.batches = max(1, len(data["train"]) // BATCH)
        steps = self.batches * len(arguments.epochs)
        self.rates = torch.optim.lr_scheduler.OneCycleLR(self.optimizer, arguments.rate, steps, pct_start=0.2)

    def run_epoch(self, epoch):
        """All training pictures once, in an order that depends on seed and epoch alone; return the mean loss."""
        generator = torch.Generator().manual_seed(1000 * self.arguments.seed + epoch)
        order = torch.randperm(len(self.data["train"]), generator=generator)
        size, losses = self.arguments.epochs[epoch], 0.0
        self.model.train()
        bar = tqdm(
            range(self.batches), f"epoch {epoch + 1} of {len(self.arguments.epochs)}, {size} px", disable=None
        )
        for i in bar:
            chosen = order[i * BATCH : (i + 1) * BATCH]
            views = distort(self.pictures("train", chosen), size, generator)
            views = views.contiguous(memory_format=torch.channels_last)  # several times as fast
            classes = self.data["train_classes"][chosen].to(self.device)
            with torch.autocast(self.device.type, torch.bfloat16):
                scores = self.model(views)
            loss = F.cross_entropy(scores.float(), classes, label_smoothing=0.1)
            self.optimizer.zero_grad(set_to_none=True)
            loss.backward()
            self.optimizer.step()
            self.rates.step()
            losses += loss.item()
            bar.set_postfix(loss=f"{losses / (i + 1):.3f}", refresh=False)
        self.epoch = epoch + 1
        return losses / self.batches

    def pictures(self, name, chosen):
        """Some of the pictures as floats 0 to 255, (batch, 3, 64, 64)."""
        batch = self.data[name][chosen].to(self.device).permute(0, 3, 1, 2).float()
        return batch.contiguous(memory_format=torch.channels_last)

    @torch.no_grad()
    def evaluate(self):
        """Shares of the validation pictures whose class is the first, and among the first five, in percent."""
        self.model.eval()
        hits = torch.zeros(2)
        for chosen in torch.arange(len(self.data["val"])).split(250):
            best = self.model(self.pictures("val", chosen)).topk(5).indices.cpu()
            right = best == self.data["val_classes"][chosen][:, None]
            hits += torch.tensor([right[:, 0].sum(), right.sum()])
        return [100 * float(n) / len(self.data["val"]) for n in hits]

    def save(self):
        """Keep everything: whole, or as it was before."""
        states = {name: getattr(self, name).state_dict() for name in ("model", "optimizer", "rates")}
        with whole_file(self.arguments.output / CHECKPOINT) as file:
            torch.save(states | {"epoch": self.epoch, "recipe": self.recipe()}, file)

    def resume(self):
        """Go on from what `save` kept, if it is there."""
        path = self.arguments.output / CHECKPOINT
        if not path.exists():
            return
        kept = torch.load(path, map_location=self.device, weights_only=True)
        if kept["recipe"] != self.recipe():
            raise DataError(f"{path} is of other options: give another folder with -o, or the same options")
        for name in ("model", "optimizer", "rates"):
            getattr(self, name).load_state_dict(kept[name])
        self.epoch = kept["epoch"]

    def recipe(self):
        """What must be the same for a run to go on."""
        return [self.arguments.epochs, self.arguments.rate, self.arguments.seed, len(self.data["train"])]


if __name__ == "__main__":
    sys.exit(main())
