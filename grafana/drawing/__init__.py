"""How panels of Grafana look, by matplotlib: as much of it as our dashboards use.

`style` has colours and sizes, `values` writes numbers in their units, `panels` draws each kind of panel.
"""
