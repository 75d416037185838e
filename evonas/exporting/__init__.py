"""Networks as source text: what ``evonas.export`` writes into ``network.py``.

From the bottom up: calls of constructors and how they are printed (``expressions``), functions for
what repeats (``sharing``), layers of torch (``layers``), what a module computes (``tracing``) and
how that reads in Python (``forward``), modules of any kind (``modules``), the file (``source``),
and graphs that need no Python (``graphs``).
"""
