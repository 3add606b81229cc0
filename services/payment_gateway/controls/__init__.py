"""Controls for tests, under /v1/test, that no real provider gives its merchants: set faults and the clock, dispute a charge,
send anything, start anew.

`routes.py` has all of it; `send_anything.py` sends any body signed with any secret, `reset.py` empties the database.
"""
