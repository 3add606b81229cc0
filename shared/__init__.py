"""What both services need and neither owns. Only `shared.edge` knows the web framework."""

__version__ = "0.1.0"
