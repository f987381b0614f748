"""What answers: the engine, its serving process, compression and training."""
