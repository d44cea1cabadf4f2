"""Benchmarks that are asked about and never trained on, from files as their authors publish them.

Importing registers them with SeqIO and opens no file. Where the files are, environment variables say when rows are
read: FLAN_JAX_BBH for BIG-Bench-Hard, FLAN_JAX_GSM8K for GSM8K.
"""

from flan_jax.data.registry import register_family, register_mixture
from tasks.extra import bbh, gsm8k

BBH = register_family('bbh', (*bbh.DIRECT, *bbh.THREE_SHOT, *bbh.REASONED), check=False,
                      evaluation_only=[dataset.name for dataset in (*bbh.THREE_SHOT, *bbh.REASONED)])  # fmt: skip
register_mixture(BBH, 'bbh.3shot', bbh.THREE_SHOT)
register_mixture(BBH, 'bbh.cot', bbh.REASONED)

GRADE_SCHOOL_MATH = register_family('grade_school_math', gsm8k.DATASETS, prefix='', check=False)
