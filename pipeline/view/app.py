"""The elements of the page, and what happens when something is set. Dash escapes every text in them."""

from __future__ import annotations

from typing import Any

import dash
from dash import Input, Output, State, ctx, dcc, html

from data.sample import EVALUATION, TRAIN
from pipeline.view.page import SORTS, Page, Wish, number_of, page
from pipeline.view.panels import Changes, Side, sides
from pipeline.view.run import SPLITS, ViewedRun
from pipeline.view.scoring import Scorer, measures

LISTED_CLASSES = 50
"""Largest number of classes that are sent to the browser at once; more are found by typing."""

SECONDS = 1.0
"""Time between two looks at the numbers that are computed."""

DEFAULT_PAIRS = {TRAIN: ("initial seed", "pseudo-label"), EVALUATION: ("prediction", "ground truth")}
"""What is compared at first."""

RANGES = {"alpha": (0.0, 0.99, 0.01), "gamma": (0.0, 0.3, 0.005), "faint": (0.0, 0.99, 0.01)}
"""Slider -> minimum, maximum, step."""


def make_app(run: ViewedRun) -> dash.Dash:
    """The page of a run as a Dash application."""
    app = dash.Dash("pipeline.view", title=f"{run.name} – depthseed", update_title="", serve_locally=True)
    scorer = Scorer()
    app.layout = lambda: _layout(run)

    @app.callback(
        Output("rows", "children"), Output("note", "children"), Output("page", "value"), Output("pages", "children"),
        Output("clock", "disabled"),
        Input("split", "value"), Input("sort", "value"), Input("order", "value"), Input("class", "value"),
        Input("text", "value"), Input("page", "value"), Input("previous", "n_clicks"), Input("next", "n_clicks"),
        Input("threshold", "value"), Input("a", "value"), Input("b", "value"), Input("clock", "n_intervals"),
        *(Input(name, "value") for name in run.seed_parameters()),
    )  # fmt: skip
    def update(split, sort, order, class_number, text, number, previous, following, threshold, a, b, clock, *seed):
        cause = ctx.triggered_id
        step = {"previous": -1, "next": 1}.get(str(cause), 0)
        stays = cause in (None, "page", "previous", "next", "clock", "threshold", "a", "b", *run.seed_parameters())
        wish = Wish(
            split, sort, order == "down", class_number, text or "", (number or 1) + step if stays else 1,
            changes=_changes(run, threshold, seed), pair=(Side.of(a), Side.of(b)) if a and b else None,
        )  # fmt: skip
        found = page(run, scorer, wish)
        return _rows(found), found.note, found.number, f"of {found.pages}", not found.is_working

    @app.callback(
        Output("a", "options"), Output("b", "options"), Output("a", "value"), Output("b", "value"),
        Input("split", "value"),
    )  # fmt: skip
    def compare(split):
        there = {str(side): name for side, name in sides(run, split).items()}
        pair = [str(Side(title)) for title in DEFAULT_PAIRS[split]]
        return there, there, *(pair if set(pair) <= there.keys() else (None, None))

    @app.callback(
        Output("sort", "options"), Output("sort", "value"),
        Input("split", "value"), Input("a", "value"), Input("b", "value"), State("sort", "value"),
    )  # fmt: skip
    def sorts(split, a, b, present):
        there = SORTS | measures(run, split, (Side.of(a), Side.of(b)) if a and b else None)
        return there, present if present in there else "id"

    @app.callback(Output("class", "options"), Input("class", "search_value"), State("class", "value"))
    def classes(text, present):
        return class_options(run, text or "", present)

    return app


def class_options(run: ViewedRun, text: str, present: int | None) -> list[dict[str, Any]]:
    """At most `LISTED_CLASSES` classes whose names have a text in them, and the one that is chosen at present."""
    names = list(enumerate(run.dataset.class_names))[1:]
    fitting = [number for number, name in names if text.lower() in name.lower()][:LISTED_CLASSES]
    wanted = dict.fromkeys([*fitting, *([present] if present else [])])
    return [{"value": number, "label": run.dataset.class_names[number]} for number in wanted]


def _changes(run: ViewedRun, threshold: object, seed: tuple) -> Changes:
    own = run.seed_parameters()
    set_here = {name: number_of(name, value) for name, value in zip(own, seed, strict=True)}
    changed = set_here if any(abs(own[name] - value) > 1e-9 for name, value in set_here.items()) else {}
    return Changes(number_of("threshold", threshold), changed)


def _rows(found: Page) -> list[Any]:
    return [
        html.Div(
            [
                html.Div(
                    [
                        html.B(row.image_id),
                        html.Span(", ".join(row.tags), className="tags"),
                        html.Span(row.number, className="number"),
                    ],
                    className="title",
                ),
                html.Div(
                    [
                        html.Figure([html.Img(src=address, alt=title), html.Figcaption([title, html.Br(), caption])])
                        for title, address, caption in row.panels
                    ],
                    className="panels",
                ),
            ],
            className="row",
            key=row.image_id,
        )
        for row in found.rows
    ]


def _layout(run: ViewedRun) -> Any:
    splits = [split for split in SPLITS if len(run.samples(split))]
    orders = {"up": "lowest first", "down": "highest first"}
    left_out = ", ".join(f"{found.title} ({found.state})" for found in run.left_out)
    choices: list[Any] = [
        _named("split", dcc.Dropdown(splits, splits[0], id="split", clearable=False)),
        _named("sort by", dcc.Dropdown(SORTS, "id", id="sort", clearable=False)),
        _named("order", dcc.Dropdown(orders, "up", id="order", clearable=False)),
        _named("class", dcc.Dropdown(class_options(run, "", None), id="class", placeholder="all")),
        _named("id contains", dcc.Input(id="text", type="text", debounce=True)),
        _named("A", dcc.Dropdown(id="a")),
        _named("B", dcc.Dropdown(id="b")),
    ]
    sliders = [_slider("threshold", "threshold of the CAM seed", Changes().threshold, (0.0, 0.99, 0.01))]
    for name, value in run.seed_parameters().items():
        sliders.append(_slider(name, f"{name} of GenerateSeeds (run: {value:g})", value, RANGES[name]))
    number = dcc.Input(id="page", type="number", value=1, min=1, step=1, debounce=True)
    back, forth = html.Button("previous", id="previous"), html.Button("next", id="next")
    pages: list[Any] = [
        back,
        "page",
        html.Div(number, className="narrow"),
        html.Span(id="pages"),
        forth,
        html.Span(id="note"),
    ]
    return html.Div(
        [
            *(html.Div(elements, className="controls") for elements in (choices, sliders, pages)),
            html.Div(f"not shown: {left_out}" if left_out else "", className="note"),
            html.Div(id="rows"),
            dcc.Interval("clock", interval=1000 * SECONDS, disabled=True),
        ]
    )


def _named(name: str, element: Any) -> Any:
    return html.Label([name, element], className="named")


def _slider(name: str, title: str, value: float, limits: tuple[float, float, float]) -> Any:
    low, high, step = limits
    slider = dcc.Slider(low, max(high, value), step, value=value, marks=None, id=name, updatemode="drag")
    return html.Div([title, slider], className="slider", id=f"{name}-box")
