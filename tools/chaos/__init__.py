"""`make chaos`: real clients on a real cluster that is being broken, and a judge who knows what must hold. Jepsen's model."""
