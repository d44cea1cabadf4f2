"""Parameter-efficient fine-tuning: one file per method, one contract, one filter."""

from flan_jax.peft.base import AdapterParam, Method, from_config
from flan_jax.peft.full import Full
from flan_jax.peft.io import detach, load_adapter, merge_adapter, save_adapter
from flan_jax.peft.lora import LoRA

__all__ = ['AdapterParam', 'Full', 'LoRA', 'Method', 'detach', 'from_config', 'load_adapter',
           'merge_adapter', 'save_adapter']
