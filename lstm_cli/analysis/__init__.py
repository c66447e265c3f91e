"""What the numbers of a trace mean: one module a question, NumPy in, plain data out."""
