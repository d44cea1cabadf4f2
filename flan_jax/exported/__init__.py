"""Batches written beforehand: packed rows of tokens in ArrayRecord files. Reading them needs no TensorFlow or SeqIO."""
