"""``depthseed view``: a page in the browser over the artifacts of a run."""

from __future__ import annotations

import argparse

from pipeline.asked import luigi_command, parsed

HELP = "a page in the browser over the artifacts; needs the extra 'view'"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Where it listens."""
    parser.add_argument("--host", default="127.0.0.1", help="address to listen at; default: this machine alone")
    parser.add_argument("--port", type=int, default=8050, help="port, 0 = a free one; default: 8050")


def run(options: argparse.Namespace, flags: list[str]) -> int:
    """Serve the page until the command is stopped."""
    from pipeline.view.run import ViewedRun
    from pipeline.view.server import serve

    with parsed("WriteReport", flags) as report:
        # It builds all stages: their flags hold in this context.
        viewed = ViewedRun(report, luigi_command("RunAll", flags))
    serve(viewed, options.host, options.port)
    return 0
