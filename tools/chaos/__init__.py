"""`make chaos`: real clients on a real cluster that is being broken, and a judge of what must hold all the same."""
