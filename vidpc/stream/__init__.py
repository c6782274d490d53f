"""Order and flow of a run's items: prefetching on a thread, grouping into batches. Knows no files and no models."""
