"""The web server of the page: the elements of `pipeline.view.app`, and the pictures, each at an address of its own.

A picture is decoded from its chunk of the artifact when the browser asks for it, and is sent as a PNG or JPEG file. The
answer to a damaged artifact is a picture of the error line.
"""

from __future__ import annotations

import html
import io
import logging
import textwrap
from typing import Any

import numpy as np
from PIL import Image

from data.errors import DepthseedError, SettingError
from pipeline.view.page import wished_picture
from pipeline.view.run import ViewedRun

log = logging.getLogger("depthseed")

LARGEST_PORT = 65535

LOCAL = ("127.0.0.1", "localhost", "[::1]", "::1")
"""Names of this machine for itself."""

WIDEST = 2000
"""Largest width of a picture that is sent, in pixels."""


def make_server(run: ViewedRun, host: str, port: int) -> Any:
    """A web server that is ready to serve: ``serve_forever()`` serves, ``server_port`` is its port.

    Parameters
    ----------
    run : ViewedRun
    host : str
        Address to listen at. At a local one, the server answers only requests that name it: a page of somebody else in
        the same browser, whose name was turned to this address, gets nothing.
    port : int
        0 = a free one.

    Raises
    ------
    SettingError
        If dash is not installed, the port is none, or nobody may listen at this address.
    """
    if not 0 <= port <= LARGEST_PORT:
        raise SettingError(f"--port is {port}; choose one of 0 to {LARGEST_PORT}, 0 = a free one")
    try:
        import dash  # noqa: F401
        from werkzeug.serving import make_server as listen
    except ImportError as error:
        raise SettingError(f"view needs the extra 'view' ({error}); run: pip install 'depthseed[view]'") from error
    from pipeline.view.app import make_app

    app = make_app(run)
    if host in LOCAL:
        app.server.config["TRUSTED_HOSTS"] = list(LOCAL)
    app.server.add_url_rule("/picture/<split>/<int:place>", "picture", lambda **place: _answer(run, **place))
    logging.getLogger("werkzeug").setLevel(logging.WARNING)  # one line for each picture would hide the others
    try:
        return listen(host, port, app.server, threaded=True)
    except (OSError, SystemExit) as error:  # werkzeug ends the process if the port is taken
        raise SettingError(
            f"--host {host} --port {port}: cannot be listened at ({error}); choose another --port"
        ) from error


def serve(run: ViewedRun, host: str, port: int) -> None:
    """Serve the page until Ctrl-C; raises as `make_server`."""
    server = make_server(run, host, port)
    print(f"the artifacts of {run.name}: http://{host}:{server.server_port} (Ctrl-C ends it)", flush=True)
    if host not in LOCAL:
        print(f"WARNING: everybody who reaches {host} can see them: the page has no login", flush=True)
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        print("ended")
    finally:
        server.server_close()


def _answer(run: ViewedRun, split: str, place: int):
    from flask import Response, request

    try:
        content, kind = encoded(wished_picture(run, split, place, request.args.to_dict()))
        status = 200
    except DepthseedError as error:
        log.error("view: %s", error)
        content, kind, status = error_picture(str(error)), "image/svg+xml", 400
    # A stage that runs again may write other bytes under the same identity.
    return Response(content, status, mimetype=kind, headers={"Cache-Control": "no-store"})


def encoded(picture: np.ndarray) -> tuple[bytes, str]:
    """A picture as a file and its media type: PNG if it has few colours, as label maps have, else JPEG.

    A picture wider than `WIDEST` is made smaller.
    """
    image = Image.fromarray(picture)
    if image.width > WIDEST:
        image = image.resize((WIDEST, round(image.height * WIDEST / image.width)), Image.Resampling.BOX)
    file = io.BytesIO()
    if image.getcolors(256):
        image.save(file, "PNG", compress_level=1)
        return file.getvalue(), "image/png"
    image.save(file, "JPEG", quality=92, subsampling=0)
    return file.getvalue(), "image/jpeg"


def error_picture(line: str) -> bytes:
    """An error line as an SVG picture; what it names is escaped."""
    lines = "".join(
        f'<tspan x="8" dy="1.2em">{html.escape(part)}</tspan>' for part in textwrap.wrap(line, 40)[:14] or [""]
    )
    return (
        '<svg xmlns="http://www.w3.org/2000/svg" width="320" height="240"><rect width="320" height="240" '
        f'fill="#fde8e8"/><text y="8" font-family="sans-serif" font-size="13" fill="#a00">{lines}</text></svg>'
    ).encode()
