"""Generated pictures whose answers are known: for the demo, for training, for tests."""
