"""The kinds of panels, on Grafana's builders. A panel says what it means and what to do, in which unit, and what nothing means."""

from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple, NotRequired, TypedDict, TypeVar, Unpack

from grafana_foundation_sdk.builders import (
    bargauge,
    common,
    dashboard,
    heatmap,
    prometheus,
    statetimeline,
    timeseries,
)  # fmt: skip
from grafana_foundation_sdk.builders import (
    stat as stats,
)
from grafana_foundation_sdk.builders import (
    table as tables,
)
from grafana_foundation_sdk.models.common import (
    BarGaugeDisplayMode,
    BarGaugeValueMode,
    BigValueColorMode,
    BigValueGraphMode,
    GraphThresholdsStyleMode,
    HeatmapCellLayout,
    LegendDisplayMode,
    LegendPlacement,
    ScaleDistribution,
    SortOrder,
    StackingMode,
    TableAutoCellOptions,
    TableColoredBackgroundCellOptions,
    TimelineValueAlignment,
    TooltipDisplayMode,
    VisibilityMode,
    VizOrientation,
)  # fmt: skip
from grafana_foundation_sdk.models.dashboard import (
    DashboardLinkType,
    DataSourceRef,
    DataTransformerConfig,
    DynamicConfigValue,
    FieldColorModeId,
    Threshold,
    ThresholdsMode,
    ValueMap,
    ValueMapping,
    ValueMappingResult,
)  # fmt: skip
from grafana_foundation_sdk.models.heatmap import HeatmapColorMode
from grafana_foundation_sdk.models.prometheus import PromQueryFormat, QueryEditorMode

DATASOURCE = DataSourceRef(type_val="prometheus", uid="${datasource}")
BLUE, GREEN, YELLOW, ORANGE, RED, GRAY = "blue", "green", "yellow", "orange", "red", "#8e8e8e"
COLUMNS = 24

Steps = Sequence[tuple[str, float | None]]
"""A colour and from which value on it holds; the first has None."""
NEUTRAL: Steps = ((BLUE, None),)
NONE_IS_GOOD: Steps = ((GREEN, None), (RED, 1))
BUDGET: Steps = ((RED, None), (ORANGE, 0), (GREEN, 0.25))
"""Of a budget that is left, as a share: missed; nearly spent; fine."""

Panel = TypeVar(
    "Panel", bargauge.Panel, heatmap.Panel, stats.Panel, statetimeline.Panel, tables.Panel, timeseries.Panel
)
AnyPanel = bargauge.Panel | heatmap.Panel | stats.Panel | statetimeline.Panel | tables.Panel | timeseries.Panel


class Query(NamedTuple):
    """A query and how its series are called; `{{label}}` stands for a value."""

    expr: str
    legend: str = ""


class Common(TypedDict):
    """What every panel has. `unit` is Grafana's word; `size` is width (of 24) and height."""

    size: tuple[int, int]
    unit: str
    decimals: int
    no_value: str
    steps: NotRequired[Steps]
    link: NotRequired[str]
    min: NotRequired[float]
    max: NotRequired[float]


def stat(title: str, description: str, expr: str, **common_: Unpack[Common]) -> stats.Panel:
    """One number, now."""
    kind = (
        stats.Panel()
        .color_mode(BigValueColorMode.BACKGROUND)
        .graph_mode(BigValueGraphMode.NONE)
        .reduce_options(_last())
        .color_scheme(_by_thresholds())
    )
    return _panel(kind, title, description, [Query(expr, title)], "now", common_)


def lines(
    title: str,
    description: str,
    *queries: Query,
    is_stacked: bool = False,
    exemplars: bool = False,
    is_logarithmic: bool = False,
    **common_: Unpack[Common],
) -> timeseries.Panel:
    """Lines over time."""
    stacking = common.StackingConfig().group("A").mode(StackingMode.NORMAL if is_stacked else StackingMode.NONE)
    legend = (
        common.VizLegendOptions()
        .display_mode(LegendDisplayMode.LIST)
        .placement(LegendPlacement.BOTTOM)
        .show_legend(True)
    )
    kind = (
        timeseries.Panel()
        .fill_opacity(40 if is_stacked else 8)
        .line_width(0 if is_stacked else 2)
        .show_points(VisibilityMode.AUTO)
        .span_nulls(False)
        .stacking(stacking)
        .thresholds_style(common.GraphThresholdsStyleConfig().mode(GraphThresholdsStyleMode.OFF))
        .legend(legend)
        .tooltip(common.VizTooltipOptions().mode(TooltipDisplayMode.MULTI).sort(SortOrder.DESCENDING))
        .color_scheme(dashboard.FieldColor().mode(FieldColorModeId.PALETTE_CLASSIC))
    )
    if is_logarithmic:
        kind.scale_distribution(common.ScaleDistributionConfig().type(ScaleDistribution.LOG).log(10))
    return _panel(kind, title, description, queries, "exemplars" if exemplars else "over time", common_)


def bars(title: str, description: str, query: Query, **common_: Unpack[Common]) -> bargauge.Panel:
    """One bar a key, now."""
    kind = (
        bargauge.Panel()
        .display_mode(BarGaugeDisplayMode.BASIC)
        .orientation(VizOrientation.HORIZONTAL)
        .value_mode(BarGaugeValueMode.COLOR)
        .show_unfilled(True)
        .reduce_options(_last())
        .color_scheme(_by_thresholds())
    )
    return _panel(kind, title, description, [query], "now", common_)


def heat(title: str, description: str, expr: str, **common_: Unpack[Common]) -> heatmap.Panel:
    """How many fell into each bucket of a histogram, over time."""
    colors = (
        heatmap.HeatmapColorOptions()
        .mode(HeatmapColorMode.SCHEME)
        .scheme("Oranges")
        .fill("dark-orange")
        .exponent(0.5)
        .steps(64)
    )
    kind = (
        heatmap.Panel()
        .calculate(False)
        .cell_gap(1)
        .scale_distribution(common.ScaleDistributionConfig().type(ScaleDistribution.LINEAR))
        .color(colors)
        .filter_values(heatmap.FilterValueRange().le(1e-9))
        .rows_frame(heatmap.RowsHeatmapOptions().layout(HeatmapCellLayout.AUTO))
        .y_axis(heatmap.YAxisConfig().unit("s"))
    )
    return _panel(kind, title, description, [Query(expr, "{{le}}")], "heat", common_)


def timeline(
    title: str, description: str, query: Query, words: Sequence[tuple[str, str]], **common_: Unpack[Common]
) -> statetimeline.Panel:
    """What each key was, over time; the value of the query is the number of its word (and colour) in `words`."""
    results = {
        str(number): ValueMappingResult(text=word, color=color, index=number)
        for number, (word, color) in enumerate(words)
    }
    mappings: list[ValueMapping] = [ValueMap(results)]
    kind = (
        statetimeline.Panel()
        .fill_opacity(80)
        .line_width(0)
        .merge_values(True)
        .show_value(VisibilityMode.NEVER)
        .align_value(TimelineValueAlignment.LEFT)
        .row_height(0.9)
        .mappings(mappings)
    )
    return _panel(kind, title, description, [query], "over time", common_)


class Column(NamedTuple):
    """A column of a table: of a label (no `expr`), or a value with a unit. `link` is the dashboard that its cells open."""

    title: str
    expr: str = ""
    unit: str = ""
    decimals: int = 0
    steps: Steps | None = None
    link: str = ""


def table(
    title: str,
    description: str,
    columns: Sequence[Column],
    sort: str,
    *,
    is_descending: bool = False,
    **common_: Unpack[Common],
) -> tables.Panel:
    """One row a key, now. Labels that have no column are left out; all values have the same labels."""
    values = [column for column in columns if column.expr]
    names = {
        f"Value #{_letter(number)}" if len(values) > 1 else "Value": column for number, column in enumerate(values)
    }
    shown = [column.title for column in columns if not column.expr] + list(names)
    order = {name: number for number, name in enumerate(shown)}
    kind = (
        tables.Panel()
        .show_header(True)
        .cell_options(TableAutoCellOptions())
        .sort_by([common.TableSortByFieldState().display_name(sort).desc(is_descending)])
        .with_transformation(DataTransformerConfig(id_val="merge", options={}))
        .with_transformation(DataTransformerConfig(id_val="filterFieldsByName", options={"include": {"names": shown}}))
        .with_transformation(
            DataTransformerConfig(
                id_val="organize",
                options={
                    "excludeByName": {},
                    "indexByName": order,
                    "renameByName": {name: column.title for name, column in names.items()},
                },
            )
        )
    )
    for column in columns:
        if properties := _column_properties(column):
            kind.override_by_name(column.title, properties)
    return _panel(kind, title, description, [Query(column.expr) for column in values], "table", common_)


def _column_properties(column: Column) -> list[DynamicConfigValue]:
    found: list[tuple[str, object]] = []
    if column.expr:
        found += [("unit", column.unit), ("decimals", column.decimals)]
    if column.steps is not None:
        found += [
            ("thresholds", _thresholds(column.steps).build()),
            ("custom.cellOptions", TableColoredBackgroundCellOptions()),
        ]
    if column.link:
        found.append(("links", [{"title": f"Open {column.link}", "url": row_url(column.link, column.title)}]))
    return [DynamicConfigValue(id_val=name, value=value) for name, value in found]


def row_url(name: str, label: str) -> str:
    """Another dashboard, for what a cell of a column names, at the same time and data."""
    return f"/d/{uid_of(name)}?var-{label}=${{__data.fields.{label}}}&${{datasource:queryparam}}&${{job:queryparam}}&${{__url_time_range}}"


def uid_of(name: str) -> str:
    return f"slastream-{name.lower().split()[0]}"


def colored(panel: Panel, colors: Mapping[str, str]) -> Panel:
    """Series by their names in colours of their own."""
    for name, color in colors.items():
        panel.override_by_name(name, [_fixed(color)])
    return panel


def targets_dashed(panel: timeseries.Panel, pattern: str, color: str = RED) -> timeseries.Panel:
    """The series whose names match are what is aimed at."""
    dash = DynamicConfigValue(id_val="custom.lineStyle", value={"dash": [10, 10], "fill": "dash"})
    fill = DynamicConfigValue(id_val="custom.fillOpacity", value=0)
    panel.override_by_regexp(pattern, [dash, fill, _fixed(color)])
    return panel


def _fixed(color: str) -> DynamicConfigValue:
    return DynamicConfigValue(id_val="color", value={"mode": "fixed", "fixedColor": color})


def _by_thresholds() -> dashboard.FieldColor:
    return dashboard.FieldColor().mode(FieldColorModeId.THRESHOLDS)


def _last() -> common.ReduceDataOptions:
    return common.ReduceDataOptions().calcs(["lastNotNull"]).fields("").values(False)


def _thresholds(steps: Steps) -> dashboard.ThresholdsConfig:
    found = [Threshold(value=value, color=color) for color, value in steps]
    return dashboard.ThresholdsConfig().mode(ThresholdsMode.ABSOLUTE).steps(found)


Shape = Literal["now", "over time", "exemplars", "heat", "table"]


def _panel(kind: Panel, title: str, description: str, queries: Sequence[Query], shape: Shape, given: Common) -> Panel:
    width, height = given["size"]
    kind.title(title).description(description).datasource(DATASOURCE).span(width).height(height)
    kind.unit(given["unit"]).decimals(given["decimals"]).no_value(given["no_value"])
    kind.thresholds(_thresholds(given.get("steps", NEUTRAL)))
    if "min" in given:
        kind.min(given["min"])
    if "max" in given:
        kind.max(given["max"])
    if "link" in given:
        name = given["link"]
        to = dashboard.DashboardLink(f"Open {name}").type(DashboardLinkType.LINK)
        kind.links([to.url(f"/d/{uid_of(name)}?${{__all_variables}}&${{__url_time_range}}")])
    for number, query in enumerate(queries):
        kind.with_target(_target(query, shape, _letter(number)))
    return kind


def _target(query: Query, shape: Shape, ref: str) -> prometheus.Dataquery:
    found = prometheus.Dataquery().expr(query.expr).ref_id(ref).editor_mode(QueryEditorMode.CODE).datasource(DATASOURCE)
    found.legend_format(query.legend or "__auto")
    match shape:
        case "now":
            return found.instant().format(PromQueryFormat.TIME_SERIES)
        case "table":
            return found.instant().format(PromQueryFormat.TABLE)
        case "heat":
            return found.range().format(PromQueryFormat.HEATMAP)
        case "exemplars":
            return found.range().format(PromQueryFormat.TIME_SERIES).exemplar(True)
        case "over time":
            return found.range().format(PromQueryFormat.TIME_SERIES)


def _letter(number: int) -> str:
    return chr(ord("A") + number)
