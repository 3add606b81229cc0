"""Unit tests need nothing: no database, no network, no clock."""

from hypothesis import settings

settings.register_profile("unit", deadline=None)  # a busy machine is no failure
settings.load_profile("unit")
