"""The test clock: the provider's own time, which a test may freeze and advance.

`clock.py` says what time it is; `stored_clock.py` shares that between replicas; `advance.py` moves it, and does the work
that falls due on the way.
"""
