"""What the page asks, and the answers: an ASGI application on Starlette."""

import asyncio
import contextlib
import json
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response, StreamingResponse
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from ..cli.arguments import SAMPLE_SETTINGS
from ..cli.output import name_of
from ..errors import InputError, NoMemoryToReadError, why_not_written
from ..settings import Settings
from .folder import Picture
from .guard import Guard
from .order import MOST_ITERATIONS, MOST_STYLES, Order, is_number, usual_beta
from .painting import PAINTING, Painting
from .studio import MOST_WAITING, MOST_WATCHERS, Busy, NotThere, Studio

STATIC = Path(__file__).with_name("static")
MOST_UPLOAD = 100_000_000  # bytes of a picture's file
MOST_JSON = 64_000  # bytes of all else
STILL_HERE = 15.0  # seconds without news, after which a line is sent all the same: so a lost page is noticed
PAUSE = 0.25  # seconds between two pieces of news
NUMBER = re.compile("[1-9][0-9]{0,8}")

Endpoint = Callable[[Request], Awaitable[Response]]


class TooLarge(InputError):
    """More bytes were sent than may be."""


def make_app(studio: Studio, token: str) -> Guard:
    """The application of a studio: only who has the token gets an answer."""
    page = Page(studio)
    routes = [
        Route("/", page.index),
        Route("/api/state", page.state),
        Route("/api/events", page.events),
        Route("/api/pictures", answers(page.give), methods=["POST"]),
        Route("/api/pictures/{id}", answers(page.picture)),
        Route("/api/paintings", answers(page.order), methods=["POST"]),
        Route("/api/paintings/{number}", answers(page.remove), methods=["DELETE"]),
        Route("/api/paintings/{number}/losses", answers(page.losses)),
        Route("/api/paintings/{number}/small", answers(page.small)),
        Route("/api/paintings/{number}/picture", answers(page.download)),
        Route("/api/paintings/{number}/{action}", answers(page.act), methods=["POST"]),
        Mount("/static", StaticFiles(directory=STATIC)),
    ]
    return Guard(Starlette(routes=routes), token)


def answers(endpoint: Endpoint) -> Endpoint:
    """An endpoint whose complaints are answers: one line, and a status that says of what kind it is."""

    async def answer(request: Request) -> Response:
        try:
            return await endpoint(request)
        except NotThere as error:
            return complaint(error, 404)
        except Busy as error:
            return complaint(error, 409)
        except TooLarge as error:
            return complaint(error, 413)
        except (InputError, NoMemoryToReadError) as error:
            return complaint(error, 400)
        except MemoryError:
            return complaint("there is not enough memory for this", 400)
        except OSError as error:
            return complaint(f"it cannot be written: {why_not_written(error)}", 507)

    return answer


def complaint(error: object, status: int) -> JSONResponse:
    """An answer that says what is wrong."""
    return JSONResponse({"error": " ".join(str(error).split())}, status)


class Page:
    """The endpoints.

    Parameters
    ----------
    studio : Studio
    """

    def __init__(self, studio: Studio):
        self.studio = studio
        self.decoding = asyncio.Semaphore(2)  # pictures that are read at once: more would need more memory

    async def index(self, request: Request) -> Response:
        """The page itself."""
        return FileResponse(STATIC / "index.html", headers={"cache-control": "no-store"})

    async def state(self, request: Request) -> Response:
        """What does not change while the page is open, and the pictures that were given."""
        studio = self.studio
        network = studio.weights
        return JSONResponse(
            {
                "network": network.name,
                "folder": str(studio.folder.path),
                "pictures": [as_json(picture) for picture in list(studio.folder.pictures.values())],
                "samples": [picture.id for picture in studio.samples],
                "settings": {name: getattr(Settings, name) for name in ("style_scale", "colour", "init")}
                | SAMPLE_SETTINGS,
                "beta": {"usual": usual_beta(network, "recoloured"), "noise": usual_beta(network, "noise")},
                "most": {
                    "styles": MOST_STYLES,
                    "iterations": MOST_ITERATIONS,
                    "waiting": MOST_WAITING,
                    "bytes": MOST_UPLOAD,
                },
            }
        )

    async def give(self, request: Request) -> Response:
        """Take a picture: its bytes as they are, and its name in the address."""
        name = request.query_params.get("name", "")
        async with self.decoding:
            data = await body_of(request, MOST_UPLOAD)
            picture = await run_in_threadpool(self.studio.give, data, name)
        return JSONResponse(as_json(picture), 201)

    async def picture(self, request: Request) -> Response:
        """The small picture of one that was given. It never changes."""
        picture = self.studio.folder.pictures.get(request.path_params["id"])
        if picture is None:
            raise NotThere("there is no such picture")
        return FileResponse(picture.small, headers={"cache-control": "private, max-age=86400"})

    async def order(self, request: Request) -> Response:
        """Put a painting in line."""
        order = Order.parse(await json_of(request))
        async with self.decoding:
            painting = await run_in_threadpool(self.studio.order, order)
        return JSONResponse({"number": painting.number}, 201)

    async def act(self, request: Request) -> Response:
        """Stop a painting, go on with it, change its style weight, or order more like it."""
        studio, number = self.studio, number_of(request)
        data = await json_of(request)
        action, more = request.path_params["action"], []
        if action == "stop":
            await run_in_threadpool(studio.stop, number)
        elif action == "go-on":
            await run_in_threadpool(studio.go_on, number)
        elif action == "more":
            async with self.decoding:
                more = await run_in_threadpool(studio.more_like, number)
        elif action == "weight":
            value = data.get("beta_per_pixel") if isinstance(data, dict) else None
            if not is_number(value):
                raise InputError("a style weight is a number")
            await run_in_threadpool(studio.change_weight, number, float(value))
        else:
            raise NotThere("there is nothing of this kind to do")
        return JSONResponse({"ordered": [painting.number for painting in more]}, 202)

    async def remove(self, request: Request) -> Response:
        """Remove a painting."""
        await run_in_threadpool(self.studio.remove, number_of(request))
        return JSONResponse({})

    async def losses(self, request: Request) -> Response:
        """The losses of a painting after each iteration."""
        with self.studio.lock:
            records = list(self.studio.painting(number_of(request)).records)
        return JSONResponse(records)

    async def small(self, request: Request) -> Response:
        """The small picture of a painting, as it is now."""
        studio, number = self.studio, number_of(request)
        with studio.lock:
            painting, now = studio.painting(number), studio.now
            if painting.state == PAINTING and now and now.picture:
                return Response(now.picture, media_type="image/webp")
        path = studio.folder.small(number)
        if not path.is_file():
            raise NotThere("there is no picture yet")
        return FileResponse(path)

    async def download(self, request: Request) -> Response:
        """The picture itself, with its settings inside, as a file to keep."""
        studio, number = self.studio, number_of(request)
        with studio.lock:
            order = studio.painting(number).order
        path = studio.folder.output(number)
        if not path.is_file():
            raise NotThere("there is no picture yet")
        return FileResponse(path, filename=file_name(studio, order), media_type="image/png")

    async def events(self, request: Request) -> Response:
        """News, as server-sent events, until the page is closed."""
        if len(self.studio.watchers) >= MOST_WATCHERS:
            return complaint("too many pages are open: close some", 503)
        return StreamingResponse(news(self.studio), media_type="text/event-stream")


def file_name(studio: Studio, order: Order) -> str:
    """A name for the picture's file, made of its pictures' names."""
    pictures = studio.folder.pictures
    names = [
        pictures[id].name if id in pictures else "picture"
        for id in (order.content, *(style for style, _ in order.styles))
    ]
    return name_of(names[0], names[1:]).name


async def news(studio: Studio) -> AsyncIterator[str]:
    """The list of paintings, and whatever changes; and how far the one is that is being painted.

    Nothing is kept for a page that reads slowly: it gets the state as it is when it asks for the next piece.
    """
    has_news, loop = asyncio.Event(), asyncio.get_running_loop()

    def wake() -> None:
        with contextlib.suppress(RuntimeError):  # the server has ended, and its loop is closed
            loop.call_soon_threadsafe(has_news.set)

    seen = Seen()
    with studio.watched_by(wake):
        while not studio.is_closing:
            for kind, data in seen.news(studio):
                yield f"event: {kind}\ndata: {json.dumps(data)}\n\n"
            try:
                await asyncio.wait_for(has_news.wait(), STILL_HERE)
            except TimeoutError:
                yield ": still here\n\n"
            has_news.clear()
            await asyncio.sleep(PAUSE)
        yield "event: closing\ndata: {}\n\n"


class Seen:
    """What a page has been told."""

    def __init__(self) -> None:
        self.revision, self.painting, self.records, self.version = -1, 0, 0, 0

    def news(self, studio: Studio) -> list[tuple[str, Any]]:
        """What a page has not been told yet."""
        found: list[tuple[str, Any]] = []
        with studio.lock:
            if studio.revision > self.revision:
                found.append(("list", self.changes(studio)))
                self.revision = studio.revision
            if studio.now:
                painting = studio.now.painting
                if painting.number != self.painting:
                    self.painting, self.records, self.version = painting.number, 0, 0
                if len(painting.records) != self.records or painting.version != self.version:
                    found.append(("progress", self.progress(painting, bool(studio.now.picture))))
                    self.records, self.version = len(painting.records), painting.version
        return found

    def changes(self, studio: Studio) -> dict[str, Any]:
        """The numbers of all paintings, the line, and those paintings that have changed. The lock is held."""
        paintings = studio.paintings.values()
        return {
            "numbers": list(studio.paintings),
            "line": list(studio.line),
            "changed": [
                in_list(studio, painting) for painting in paintings if painting.revision > self.revision
            ],
        }

    def progress(self, painting: Painting, has_picture: bool) -> dict[str, Any]:
        """How far a painting is."""
        first = min(self.records, len(painting.records))
        return {
            "number": painting.number,
            "first": first,
            "records": painting.records[first:],
            "seconds": painting.seconds,
            "left": painting.left,
            "version": painting.version,
            "has_picture": has_picture,
        }


def in_list(studio: Studio, painting: Painting) -> dict[str, Any]:
    """A painting as the list shows it. The lock is held."""
    pictures = studio.folder.pictures
    order = painting.order
    ids = [order.content, *(style for style, _ in order.styles)]
    number = painting.number
    return {
        "number": number,
        "state": painting.state,
        "why": painting.why,
        "notes": painting.notes,
        "order": order.as_json(),
        "names": [pictures[id].name if id in pictures else "a picture that is gone" for id in ids],
        "beta_per_pixel": order.beta_per_pixel(studio.weights),
        "iterations": order.settings.iterations,
        "iteration": len(painting.records),
        "seconds": painting.seconds,
        "follows": painting.follows,
        "version": painting.version,
        "has_small": studio.folder.small(number).is_file(),
        "has_picture": studio.folder.output(number).is_file(),
        "can_go_on": studio.folder.checkpoint(number).is_file(),
    }


def as_json(picture: Picture) -> dict[str, Any]:
    """A picture that was given, as the page knows it."""
    return {"id": picture.id, "name": picture.name}


def number_of(request: Request) -> int:
    """The number of a painting in an address."""
    number = request.path_params["number"]
    if not NUMBER.fullmatch(number):
        raise NotThere("there is no such picture")
    return int(number)


async def body_of(request: Request, most: int) -> bytes:
    """What was sent, if it is not more than `most` bytes: no more are read, whatever its header says.

    Raises
    ------
    TooLarge
        If it is more.
    """
    message = f"the file has more than {most // 1_000_000} MB: save it anew, smaller"
    if most < 1_000_000:
        message = f"more than {most} bytes were sent"
    length = request.headers.get("content-length", "0")
    if not length.isdecimal() or int(length) > most:
        raise TooLarge(message)
    data = bytearray()
    async for part in request.stream():
        if len(data) + len(part) > most:
            raise TooLarge(message)
        data += part
    return bytes(data)


async def json_of(request: Request) -> Any:
    """What was sent as JSON."""
    if request.headers.get("content-type", "").partition(";")[0].strip() != "application/json":
        raise InputError("send JSON")
    try:
        return json.loads(await body_of(request, MOST_JSON))
    except (ValueError, RecursionError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError("what was sent is no JSON") from None
