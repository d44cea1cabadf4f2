"""From rows of text to token batches: the only package that imports TensorFlow or SeqIO."""
