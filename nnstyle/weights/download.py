"""Downloading a known network: its checksum compared, whole or not at all, from any of its addresses."""

import os
from pathlib import Path
from urllib.parse import urlsplit

from tqdm import tqdm

from ..errors import InputError
from ..files import is_regular
from ..notebook import NotebookLine, in_notebook
from .known import KNOWN, Known

CHUNK = 1 << 18  # bytes


def cache_folder() -> Path:
    """Where downloaded networks are kept: ``NNSTYLE_CACHE``, else the platform's folder for such things."""
    import pooch  # here and below: it takes long to import, and most pictures need no download

    return Path(os.environ.get("NNSTYLE_CACHE") or pooch.os_cache("nnstyle")).expanduser().absolute()


def fetch(name: str, progress: bool = False) -> Path:
    """The path of a known network's file, downloaded if it is not there yet.

    Parameters
    ----------
    name : str
        One of `nnstyle.weights.known.KNOWN`.
    progress : bool
        Whether to show a bar on standard error, where that is a terminal.

    Returns
    -------
    Path
        Its checksum was compared, even if the file was there already.

    Raises
    ------
    InputError
        If no address gives the right file, or the cache cannot be written.
    """
    import requests

    network, folder, failures = KNOWN[name], cache_folder(), []
    for address in network.addresses:
        host = urlsplit(address).netloc
        try:
            return retrieve(address, network, folder, progress)
        except requests.RequestException as error:
            failures.append(f"{host}: {reason(error)}")
        except ValueError:  # pooch's for a wrong checksum
            failures.append(f"{host}: not the file that it should be")
        except OSError as error:
            if error.errno is None:  # of requests: a file of certificates that is not there
                failures.append(f"{host}: {error}")
                continue
            raise InputError(
                f"{network.file} cannot be kept in {folder} ({error.strerror}): set NNSTYLE_CACHE to another folder"
            ) from None
    raise InputError(
        f"{name} cannot be downloaded ({'; '.join(failures)}): get {' or '.join(network.addresses)} in "
        f"another way and put it into {folder}, or use --weights pocket, which needs no download"
    )


class Bar(tqdm):
    """A bar that ends a download which is, or says that it is, larger than it should be; shown or not."""

    most = taken = 0.0  # bytes

    def __bool__(self) -> bool:
        return True  # tqdm's is false where the server does not tell a size, and pooch then tells it nothing

    def reset(self, total: float | None = None) -> None:
        self.taken = 0
        super().reset(total)

    def update(self, n: float | None = 1) -> bool | None:
        self.taken += n or 0
        said = self.total or 0  # pooch writes here what the server says: nothing, or anything
        if said > self.most or self.taken > self.most + CHUNK:  # pooch counts the last piece as a whole one
            raise ValueError
        return super().update(n)


def retrieve(address: str, network: Known, folder: Path, progress: bool) -> Path:
    """Download from one address into the cache, unless the file is there and whole."""
    import pooch

    if (folder / network.file).exists() and not is_regular(folder / network.file):
        raise ValueError  # a pipe, which might never end
    pooch.get_logger().setLevel("ERROR")
    disable = None if progress else True  # None: only where standard error is no terminal
    file = NotebookLine() if in_notebook() else None
    with Bar(
        desc=network.file,
        total=network.size,
        unit="B",
        unit_scale=True,
        leave=file is not None,
        file=file,
        disable=disable,
    ) as bar:
        bar.most = network.size
        downloader = pooch.HTTPDownloader(progressbar=bar, chunk_size=CHUNK, timeout=60)
        return Path(pooch.retrieve(address, network.checksum, network.file, folder, downloader=downloader))


def reason(error: Exception) -> str:
    """A few words for an error of requests, whose own take several lines."""
    import requests

    if isinstance(error, requests.HTTPError):
        return f"status {error.response.status_code}"
    if isinstance(error, requests.Timeout):
        return "no answer in time"
    if isinstance(error, requests.exceptions.ChunkedEncodingError):
        return "the connection was cut"
    if isinstance(error, requests.ConnectionError):
        return "no connection"
    return type(error).__name__
