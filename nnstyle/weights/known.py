"""The networks that have a name here: where their files are, and how to recognize them."""

from dataclasses import dataclass
from pathlib import Path

PACKAGE = Path(__file__).parents[1]
# Inside an installed package, and in a checkout.
POCKET_PATHS = (PACKAGE / "data" / "pocket.h5", PACKAGE.parent / "weights" / "pocket.h5")


@dataclass(frozen=True)
class Known:
    """A published weights file.

    Attributes
    ----------
    file : str
        Its name, also in the cache.
    folders : tuple of str
        Addresses of folders that hold it; the second is tried if the first fails.
    size : int
        Bytes.
    checksum : str
        "md5:" or "sha256:" and the digest in hexadecimal.
    licence : str
    """

    file: str
    folders: tuple[str, ...]
    size: int
    checksum: str
    licence: str

    @property
    def addresses(self) -> list[str]:
        """Of the file, in the order in which they are tried."""
        return [folder + self.file for folder in self.folders]


GOOGLE = "https://storage.googleapis.com/tensorflow/keras-applications/"
GITHUB = "https://github.com/fchollet/deep-learning-models/releases/download/v0.1/"
OXFORD = "Creative Commons Attribution (Visual Geometry Group, Oxford)"

KNOWN = {
    "vgg19": Known(
        "vgg19_weights_tf_dim_ordering_tf_kernels_notop.h5",
        (GOOGLE + "vgg19/", GITHUB),
        80_134_624,
        "md5:253f8cb515780f3b799900260a226db6",
        OXFORD,
    ),
    "vgg16": Known(
        "vgg16_weights_tf_dim_ordering_tf_kernels_notop.h5",
        (GOOGLE + "vgg16/", GITHUB),
        58_889_256,
        "md5:6d6bbae143d832006294945121d1f1fc",
        OXFORD,
    ),
    "vgg19-torchvision": Known(
        "vgg19-dcbb9e9d.pth",
        ("https://download.pytorch.org/models/",),
        574_673_361,
        "sha256:dcbb9e9dad569fff7a846263a77324fc34978fea2bfb039c012d710e1776ae44",
        "BSD-3-Clause (torchvision)",
    ),
    "vgg19-matconvnet": Known(
        "imagenet-vgg-verydeep-19.mat",
        ("https://www.vlfeat.org/matconvnet/models/",),
        534_904_783,
        "md5:106118b7cf60435e6d8e04f6a6dc3657",
        OXFORD,
    ),
}
