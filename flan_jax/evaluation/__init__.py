"""Zero-shot evaluation: rank classification, generation metrics, held-out clusters, intervals, tables and reports."""
