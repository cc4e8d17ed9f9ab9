"""Grafana's dark colours, and sizes in pixels."""

WIDTH_PIXELS, ROW_PIXELS, DPI = 1500, 34, 100
COLUMN_PIXELS = WIDTH_PIXELS / 24
GAP_PIXELS = 4
BACKGROUND, PANEL, BORDER, TEXT, MUTED, GRID = "#111217", "#181b1f", "#2a2d33", "#d8d9da", "#9fa3a9", "#2c3036"
PALETTE_COLORS = {
    "green": "#73bf69", "light-green": "#b8dba5", "dark-green": "#37872d", "yellow": "#f2cc0c", "orange": "#ff9830",
    "dark-orange": "#fa6400", "red": "#f2495c", "dark-red": "#a3162a", "blue": "#5794f2", "purple": "#b877d9",
}  # fmt: skip
CLASSIC = (
    "#7eb26d", "#eab839", "#6ed0e0", "#ef843c", "#e24d42", "#1f78c1", "#ba43a9", "#705da0", "#508642", "#cca300", "#447ebc",
    "#c15c17",
)  # fmt: skip


def color_of(name: str) -> str:
    """Of Grafana's names, or as it is."""
    return PALETTE_COLORS.get(name, name)
