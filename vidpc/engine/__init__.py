"""Runs a model over batches: device, precision, overlapped copies, memory back-off, time. The only home of CUDA calls."""
