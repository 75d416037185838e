"""Latency on the device at hand: a table of a number per choice, and how well it adds up."""

from evonas.latency.fit import Agreement
from evonas.latency.measure import Latency, measure_latency

__all__ = ["Agreement", "Latency", "measure_latency"]
