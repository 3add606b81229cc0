"""What must hold after anything: one function for each invariant, which yields every way in which it does not.

None of this knows the services' own rules: what an order's facts and status must be is said here a second time, from
the same document (docs/decisions/0001). A judge who asks the accused learns nothing.
"""
