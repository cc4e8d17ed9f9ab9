"""Tests of the metrics, and the scenario that those of Grafana use as well."""
