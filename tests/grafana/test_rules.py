"""Configuration, rules, provisioning and metrics, in the eyes of the programs that read them."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from grafana.prometheus_harness import Prometheus, promtool

REPOSITORY = Path(__file__).parents[2]
GRAFANA = REPOSITORY / "grafana"
RULES = GRAFANA / "rules" / "slastream.yml"


def alerts() -> list[dict[str, Any]]:
    return [rule for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"]]


def test_the_configuration_is_valid_and_finds_the_rules() -> None:
    done = promtool("check", "config", GRAFANA / "prometheus.yml")
    assert done.returncode == 0, done.stderr
    assert f"SUCCESS: {len(alerts())} rules found" in done.stdout


def test_only_rules_lie_where_rules_are_read() -> None:
    assert sorted(path.name for path in (GRAFANA / "rules").glob("*.y*ml")) == [RULES.name]


def test_alerts_fire_when_they_should_and_only_then() -> None:
    done = promtool("test", "rules", GRAFANA / "rules" / "tests" / "slastream.test.yml")
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_alert_has_a_case_in_which_it_fires_and_one_in_which_it_does_not() -> None:
    cases = yaml.safe_load((GRAFANA / "rules" / "tests" / "slastream.test.yml").read_text())["tests"]
    seen = {(case["alertname"], bool(case.get("exp_alerts"))) for test in cases for case in test["alert_rule_test"]}
    assert seen == {(alert["alert"], fires) for alert in alerts() for fires in (True, False)}


@pytest.mark.parametrize("alert", alerts(), ids=lambda alert: alert["alert"])
def test_an_alert_says_what_is_wrong_and_what_to_do_and_does_not_flap(alert: dict[str, Any]) -> None:
    assert alert["labels"]["severity"] in ("warning", "critical")
    assert set(alert["annotations"]) == {"summary", "description"}
    assert alert["keep_firing_for"]


def test_the_expression_of_every_alert_runs_and_those_of_the_desk_fire(scraped: Prometheus) -> None:
    for alert in alerts():
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
