"""The dashboards of Grafana, from Python with Grafana's own builders to the classic JSON that it reads from files.

- `queries` writes PromQL from the catalogue of metrics: each gauge once for a key, whoever shows it.
- `panels` has the kinds of panels; each says what it means and what to do. `frame` puts them on a dashboard with its variables,
  links and annotations.
- `overview`, `service`, `tickets`, `agreement`, `providers` and `pipeline` are a dashboard each.
"""
