"""What the scripts do: data, model, training and evaluation put together, one module each."""
