"""paperkit: two papers on hard text classification, reproduced with evidence.

Data flows one way: corpus → text → batches → model → loss → run → exhibit → claim. Importing the package itself costs
nothing; each subpackage imports what it needs.
"""

__version__ = "0.1.0"
