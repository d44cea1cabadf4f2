"""Packaging of flan_jax: ranges here, exact pins in requirements.lock (made by `make lock`)."""

import pathlib

import setuptools

HERE = pathlib.Path(__file__).parent

# Both ends of every range are tested: the upper one by requirements.lock, the lower one by `make test-lowest`.
# tensorflow-text brings the one TensorFlow that fits it; naming a second one here would let pip install two.
REQUIRES = [
    'absl-py>=2.1',
    'array_record>=0.8.1',
    'editdistance>=0.8.1',
    'etils>=1.14',
    'filelock>=3.13',  # by which JAX locks its compilation cache
    'flax>=0.12.6,<0.13',
    'gin-config>=0.5,<0.6',
    'grain>=0.2.15,<0.3',
    'importlib_resources>=6.4',  # tensorflow-datasets 4.9.10 imports it and declares it for Python < 3.9 only
    'jax>=0.9.0,<0.11',
    'jaxtyping>=0.3',
    'jinja2>=3.1.6',  # before it, there were ways out of the sandbox that prompts of promptsource run in
    'matplotlib>=3.10.7',
    'numpy>=2.1,<3',
    'optax>=0.2.6,<0.3',
    'orbax-checkpoint>=0.11.31,<0.13',
    'pyarrow>=18',
    'pyyaml>=6.0.2',
    'rich>=13.7',
    'rouge-score>=0.1.2',
    'sacrebleu>=2.4',
    'safetensors>=0.5',
    'scikit-learn>=1.5',
    'scipy>=1.15',
    'sentencepiece>=0.2',
    'seqio>=0.0.20,<0.1',
    'tensorboardX>=2.6.2',
    'tensorstore>=0.1.76',
    'tensorflow-datasets>=4.9.10,<4.10',
    'tensorflow-text>=2.20,<2.22',
]

# Before 2.72 Beam wants a grpcio or dill that tensorflow and datasets have left behind. 2.77 still wants protobuf<7,
# pyarrow<26, pillow<13, python-dateutil<3 and numpy<2.5, so that pip lowers these where the extra is asked for; and
# sentencepiece 0.2.3 does not import under protobuf 6, which it does not declare.
BEAM = ['apache-beam>=2.72,<3', 'sentencepiece<0.2.3']
HUGGING_FACE = ['huggingface_hub>=1.0', 'tokenizers>=0.22', 'transformers>=5.3,<6']
# lm_eval before 0.4.10 imports a class that transformers 5 has dropped.
LM_EVAL = ['lm_eval>=0.4.10,<0.5']
# peft before 0.21.2 asks a T5 of transformers 5.24 for a method it no longer has.
# pytest 9.2 no longer lets xdist 3.8 group tests, and what a group shares would be made in every worker.
TEST = [*HUGGING_FACE, *LM_EVAL, 'hypothesis>=6.100', 'mypy>=1.15', 'peft>=0.21.2,<0.22', 'playwright>=1.50',
        'pytest>=8.2,<9.2', 'pytest-cov>=6', 'pytest-xdist>=3.6', 'ruff>=0.12', 'torch>=2.6,<2.14', 'build>=1.2']

setuptools.setup(
    name='flan_jax',
    version='0.1.0',
    description='Instruction tuning the FLAN way on JAX: SeqIO tasks, a T5 in Flax NNX, PEFT, held-out evaluation.',
    long_description=(HERE / 'README.md').read_text(encoding='utf-8'),
    long_description_content_type='text/markdown',
    license='Apache-2.0',
    license_files=['LICENSE'],
    python_requires='>=3.11',
    packages=setuptools.find_packages(include=['flan_jax', 'flan_jax.*', 'tasks', 'tasks.*', 'gin_configs', 'scripts']),
    package_data={
        'flan_jax': ['py.typed', 'inspection/*.html', 'evaluation/*.css', 'evaluation/*.js'],
        'gin_configs': ['**/*.gin'],
        'tasks': ['**/*.json'],
    },
    install_requires=REQUIRES,
    extras_require={
        'gpu': ['jax[cuda12]>=0.9.0,<0.11'],
        'tpu': ['jax[tpu]>=0.9.0,<0.11'],
        'beam': BEAM,
        'hf': HUGGING_FACE,
        'lm_eval': LM_EVAL,
        'test': TEST,
        'dev': [*TEST, 'pip-tools>=7.5'],
    },
)
