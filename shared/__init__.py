"""What both services need and neither owns. Only `shared.edge` knows the web framework."""
