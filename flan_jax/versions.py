"""Which versions of Python and of the packages a run's numbers come from; nothing is imported to find out."""

import importlib.metadata
import platform

PACKAGES = (
  'flan_jax', 'jax', 'jaxlib', 'flax', 'optax', 'orbax-checkpoint', 'numpy', 'seqio', 'tensorflow', 'tensorflow-text',
  'tensorflow-datasets', 'grain', 'array-record', 'gin-config', 'safetensors', 'rouge-score', 'sacrebleu',
  'scikit-learn',
)  # fmt: skip


def package_versions() -> dict[str, str]:
  """Returns the versions of Python and of the packages that decide a run's numbers; absent ones are left out."""
  versions = {'python': platform.python_version()}
  for name in PACKAGES:
    try:
      versions[name] = importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
      continue
  return versions
