"""Networks as source text and as graphs: what ``evonas.export`` writes.

From the bottom up: calls of constructors and how they are printed (``expressions``), functions for
what repeats (``sharing``), layers of torch (``layers``), what a module computes (``tracing``) and
how that reads in Python (``forward``), modules of any kind (``modules``), what is known of a
network (``record``), the Python file (``source``), graphs that need no Python (``graphs``), and all
files of an export, read back and compared (``write``).
"""
