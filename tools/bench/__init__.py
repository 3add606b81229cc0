"""`make bench`: measures how fast the services are, as ratios of what ran in turns of one run.

`__main__.py` runs the parts that are named. Each part is a file, and returns figures with their goals: `intake.py`,
`answers.py`, `paid.py`, `growth.py`, `backlog.py`, `gateway.py`, `cache.py`, `user.py`, `watching.py`; and `console.py` and
`against.py`, which only run when they are named.

The parts share the following. `figures.py` defines figures and goals. `load.py` makes load as fast as it goes, from wrk;
`pace.py` makes load at a constant rate. `turns.py` measures one turn, with the CPU of every process. `stage.py` starts what
is measured. `requests.py` sends each kind of request. `mould.py` and `stored.py` fill a database with finished orders.
`bare.py` is the ceiling, a server that only decodes and answers. `tools/textbook/` is the same service written by hand, and
`unwatched.py` is order_api with metrics and logs off.

The results become a table and a page in `report.py`, a picture in `plot.py`; `machine.py` says where they come from.
"""
