"""What no real provider lets its merchants do, under /v1/test: set faults and the clock, dispute a charge, send anything,
start anew.

`routes.py` has all of it; `send_anything.py` sends any body signed with any secret, `reset.py` empties the database.
"""
