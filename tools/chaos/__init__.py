"""`make chaos`: real clients, real services and a real replica set, with everything that can break between them."""
