"""Parameter-efficient fine-tuning: one file per method, one contract, one filter."""

from flan_jax.peft import combine
from flan_jax.peft.adapter_set import AdapterSet
from flan_jax.peft.base import AdapterConstant, AdapterParam, Method, from_config
from flan_jax.peft.bias import BitFit
from flan_jax.peft.bottleneck import Bottleneck
from flan_jax.peft.compose import Compose
from flan_jax.peft.dora import DoRA
from flan_jax.peft.full import Full
from flan_jax.peft.ia3 import IA3
from flan_jax.peft.io import load_adapter, merge_adapter, save_adapter
from flan_jax.peft.lora import LoRA
from flan_jax.peft.p_tuning import PTuning
from flan_jax.peft.prefix_tuning import PrefixTuning
from flan_jax.peft.prompt_tuning import PromptTuning
from flan_jax.peft.quantized import Quantized
from flan_jax.peft.rows import RowAdapters, attach_rows
from flan_jax.peft.selective import Layers, Norms
from flan_jax.peft.targets import detach

__all__ = ['IA3', 'AdapterConstant', 'AdapterParam', 'AdapterSet', 'BitFit', 'Bottleneck', 'Compose', 'DoRA', 'Full',
           'Layers', 'LoRA', 'Method', 'Norms', 'PTuning', 'PrefixTuning', 'PromptTuning', 'Quantized', 'RowAdapters',
           'attach_rows', 'combine', 'detach', 'from_config', 'load_adapter', 'merge_adapter', 'save_adapter']
