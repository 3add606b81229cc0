"""What both services need and neither owns. Only `shared.edge` knows the web framework."""

VERSION = "0.1.0"
