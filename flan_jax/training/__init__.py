"""Training: state, step, optimizers, schedules, losses, checkpoints, sharding, the loop. Imports no TensorFlow."""
