"""Configuration, rules, provisioning and metrics, in the eyes of the programs that read them."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from grafana.prometheus_harness import Prometheus, promtool
from slastream.app import load_policy_path
from slastream.export import catalogue
from slastream.export.alert_rules import rules_text

REPOSITORY = Path(__file__).parents[2]
GRAFANA = REPOSITORY / "grafana"
RULES = GRAFANA / "rules" / "slastream.yml"
RUNBOOK = REPOSITORY / "docs" / "runbook.md"
BY_KIND = '{{ if eq $labels.kind "sla" }}critical{{ else }}warning{{ end }}'
POLICY = """
version: 1
lateness: {default: 0s, jira: 90s}
agreements:
  gold:
    kind: sla
    objective: {target: 95%}
    promises:
      response: {metric: first_response, within: 4h}
      up: {metric: availability, target: 99%, window: 28d, alerts: burn_rate, min_coverage: 0.75}
      'odd "{{name}}"': {metric: success, target: 99.5%, window: week, alerts: burn_rate}
  silver: {kind: ola, promises: {up: {metric: availability, target: 99%, window: month, min_coverage: 0}}}
"""


def rules_of(text: str) -> list[dict[str, Any]]:
    return [rule for group in yaml.safe_load(text)["groups"] for rule in group["rules"]]


def alerts_of(text: str) -> list[dict[str, Any]]:
    return [rule for rule in rules_of(text) if "alert" in rule]


SHIPPED = alerts_of(RULES.read_text())


@pytest.fixture
def fitted(tmp_path: Path) -> str:
    """The rules of a policy."""
    (tmp_path / "policy.yaml").write_text(POLICY)
    return rules_text(load_policy_path(tmp_path / "policy.yaml"))


def test_the_configuration_is_valid_and_finds_the_rules() -> None:
    done = promtool("check", "config", GRAFANA / "prometheus.yml")
    assert done.returncode == 0, done.stderr
    assert f"SUCCESS: {len(rules_of(RULES.read_text()))} rules found" in done.stdout


def test_only_rules_lie_where_rules_are_read() -> None:
    assert sorted(path.name for path in (GRAFANA / "rules").glob("*.y*ml")) == [RULES.name]


def test_the_shipped_rules_are_those_that_the_command_prints() -> None:
    assert RULES.read_text() == rules_text(), "run: slastream rules > grafana/rules/slastream.yml"


def test_prometheus_has_nothing_against_the_rules(fitted: str, tmp_path: Path) -> None:
    for text in (rules_text(), fitted):
        (tmp_path / "rules.yml").write_text(text)
        done = promtool("check", "rules", "--lint=all", "--lint-fatal", tmp_path / "rules.yml")
        assert done.returncode == 0, done.stdout + done.stderr
        assert "duplicate" not in done.stdout + done.stderr


def test_alerts_fire_when_they_should_and_only_then() -> None:
    done = promtool("test", "rules", GRAFANA / "rules" / "tests" / "slastream.test.yml")
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_alert_has_a_case_in_which_it_fires_and_one_in_which_it_does_not() -> None:
    tests = yaml.safe_load((GRAFANA / "rules" / "tests" / "slastream.test.yml").read_text())["tests"]
    cases = [case for test in tests for case in test.get("alert_rule_test", ())]
    seen = {(case["alertname"], bool(case.get("exp_alerts"))) for case in cases}
    assert seen == {(alert["alert"], fires) for alert in SHIPPED for fires in (True, False)}


@pytest.mark.parametrize("alert", SHIPPED, ids=lambda alert: alert["alert"])
def test_an_alert_says_what_is_wrong_and_what_to_do_and_does_not_flap(alert: dict[str, Any]) -> None:
    assert alert["labels"]["severity"] in ("warning", "critical", BY_KIND)
    assert set(alert["annotations"]) == {"summary", "description", "runbook_url"}
    assert alert["keep_firing_for"]


def test_the_runbook_has_a_section_for_every_alert_with_what_to_look_at_and_to_do() -> None:
    sections = dict(re.findall(r"^## (\w+)\n(.*?)(?=^## |\Z)", RUNBOOK.read_text(), re.MULTILINE | re.DOTALL))
    for alert in SHIPPED:
        assert alert["annotations"]["runbook_url"] == f"docs/runbook.md#{alert['alert'].lower()}"
        assert alert["alert"] in sections
    for name, text in sections.items():
        assert re.findall(r"\*\*(\w+)\.\*\*", text) == ["Means", "Look", "Do"], name


def test_metrics_that_rules_name_are_in_the_catalogue(fitted: str) -> None:
    known = {metric.name for metric in catalogue.EVERY_METRIC}
    for text in (RULES.read_text(), fitted):
        named = {name for rule in rules_of(text) for name in re.findall(r"(?<![:\w])sla(?:stream)?_\w+", rule["expr"])}
        assert {name.removesuffix("_bucket") for name in named} <= known


def test_rules_of_a_policy_know_its_promises_numbers_and_names(fitted: str) -> None:
    by_name: dict[str, list[dict[str, Any]]] = {}
    for alert in alerts_of(fitted):
        by_name.setdefault(alert["alert"], []).append(alert)
    (coverage,) = by_name["SlaLowCoverage"]
    assert 'agreement="gold", promise="up"' in coverage["expr"]
    assert "< 0.75" in coverage["expr"]
    assert by_name["SlastreamDeadlinesLate"][0]["expr"].endswith("> 91")
    windows = [(each["labels"]["promise"][:3], each["labels"]["long_window"]) for each in by_name["SlaBudgetBurning"]]
    assert windows == [
        *(("up", window) for window in ("56m", "336m", "1344m", "4032m")),
        *(("odd", window) for window in ("14m", "84m", "336m", "1008m")),
    ]


def test_a_policy_about_tickets_alone_has_no_alerts_of_services() -> None:
    names = {alert["alert"] for alert in alerts_of(rules_text(load_policy_path(REPOSITORY / "examples/policy.yaml")))}
    assert {"SlaBreached", "SlastreamNoWorker"} <= names
    assert not names & {"SlaNoData", "SlaLowCoverage", "SlaBudgetBurning"}


def test_every_promise_with_burn_alerts_has_its_pair_of_windows_and_fires_above_the_factor_only(
    fitted: str, tmp_path: Path
) -> None:
    """At the factor it is quiet, above it in both windows it fires; told by Prometheus itself."""
    (tmp_path / "rules.yml").write_text(fitted)
    burning = [alert for alert in alerts_of(fitted) if alert["alert"] == "SlaBudgetBurning"]
    tests = [burn_test(alert, above) for alert in burning for above in (True, False)]
    (tmp_path / "test.yml").write_text(yaml.safe_dump({"rule_files": ["rules.yml"], "tests": tests}))
    done = promtool("test", "rules", tmp_path / "test.yml")
    assert done.returncode == 0, done.stdout + done.stderr


def burn_test(alert: dict[str, Any], is_above: bool) -> dict[str, Any]:
    named = {name: value.replace('{{ "{{" }}', "{{") for name, value in alert["labels"].items()}
    labels = {"service": "mail", "agreement": named["agreement"], "promise": named["promise"]}
    rate = float(named["factor"]) + (0.1 if is_above else 0)
    burns = [(labels | {"window": window}, rate) for window in re.findall(r'window="(\w+)"', alert["expr"])]
    info = labels | {"kind": "sla", "customer": "acme"}
    del info["promise"]
    found = {**labels, **named, "alertname": alert["alert"], "kind": "sla", "customer": "acme"}
    firing = series("ALERTS", found | {"alertstate": "firing"})
    chosen = "{" + ", ".join(f"{name}={quoted(named[name])}" for name in ("promise", "factor")) + "}"
    return {
        "interval": "1m",
        "input_series": [
            {"series": series("sla_info", info), "values": "1x9"},
            *({"series": series("sla_burn_rate", each), "values": f"{value}x9"} for each, value in burns),
        ],
        "promql_expr_test": [
            {
                "expr": f"ALERTS{chosen}",
                "eval_time": "5m",
                "exp_samples": [{"labels": firing, "value": 1}] if is_above else [],
            }
        ],
    }


def series(name: str, labels: dict[str, str]) -> str:
    return name + "{" + ", ".join(f"{label}={quoted(value)}" for label, value in labels.items()) + "}"


def quoted(text: str) -> str:
    return '"' + text.replace('"', '\\"') + '"'


def test_the_expression_of_every_alert_runs_and_those_of_the_desk_fire(scraped: Prometheus) -> None:
    for alert in SHIPPED:
        scraped.query(alert["expr"])
    firing = {each["metric"]["alertname"] for each in scraped.query('ALERTS{alertstate="firing"}')}
    pending = {each["metric"]["alertname"] for each in scraped.query('ALERTS{alertstate="pending"}')}
    assert {"SlaBreached", "SlastreamRejects"} <= firing
    assert "SlaObjectiveMissed" in pending
    assert "SlastreamNoWorker" not in firing | pending


def test_prometheus_has_nothing_against_the_metrics_but_one_name_that_is_fixed(metrics_text: str) -> None:
    done = promtool("check", "metrics", text=metrics_text)
    problems = (done.stdout + done.stderr).splitlines()
    assert problems == ['sla_compliance_total non-counter metrics should not have "_total" suffix']


def test_grafana_is_told_where_the_data_and_the_dashboards_are() -> None:
    (datasource,) = provisioned("datasources")["datasources"]
    assert (datasource["type"], datasource["url"]) == ("prometheus", "http://prometheus:9090")
    (provider,) = provisioned("dashboards")["providers"]
    assert (provider["type"], provider["options"]["path"]) == ("file", "/etc/grafana/dashboards")


def provisioned(kind: str) -> dict[str, Any]:
    (path,) = (GRAFANA / "provisioning" / kind).glob("*.yaml")
    content: dict[str, Any] = yaml.safe_load(path.read_text())
    assert content["apiVersion"] == 1
    return content
