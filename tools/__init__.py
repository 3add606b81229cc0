"""For people at the keyboard: set up, run, demonstrate, measure. Images never contain it."""
