"""Measurements that anybody can repeat: `python -m benchmarks.replay`. None of them is a test with a time limit."""
