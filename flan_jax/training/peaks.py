"""Published peak rates of accelerators, to tell how much of a device a run uses."""

from collections.abc import Iterable
from typing import Any

# Dense bfloat16 FLOP/s of one JAX device, by the name that JAX gives it (`device.device_kind`), from the makers' data
# sheets: NVIDIA's print the sparse rate, twice as high, for the newer cards. A JAX device is a whole TPU chip from v4
# to v6e, and one of a chip's two cores before and after. A name that is not here has no peak: a slice of a card (MIG)
# or a card that was renamed is not guessed at.
PEAKS = {
  'TPU v2': 22.5e12,
  'TPU v3': 61.5e12,
  'TPU v4': 275e12,
  'TPU v5 lite': 197e12,
  'TPU v5e': 197e12,
  'TPU v5': 459e12,
  'TPU v5p': 459e12,
  'TPU v6 lite': 918e12,
  'TPU v6e': 918e12,
  'TPU7x': 1153.5e12,
  'NVIDIA A10': 125e12,
  'NVIDIA A30': 165e12,
  'NVIDIA A40': 149.7e12,
  'NVIDIA A100-PCIE-40GB': 312e12,
  'NVIDIA A100-SXM4-40GB': 312e12,
  'NVIDIA A100 80GB PCIe': 312e12,
  'NVIDIA A100-SXM4-80GB': 312e12,
  'NVIDIA L4': 121e12,
  'NVIDIA L40S': 362e12,
  'NVIDIA H100 PCIe': 756e12,
  'NVIDIA H100 NVL': 835e12,
  'NVIDIA H100 80GB HBM3': 989e12,
  'NVIDIA H200': 989e12,
  'NVIDIA GH200 480GB': 989e12,
}


def peak(devices: Iterable[Any]) -> float | None:
  """The peak of all devices together.

  Args:
    devices: JAX's, of a mesh or all.

  Returns:
    FLOP/s; None where one of the devices is of a kind whose peak is not known, which every CPU is.
  """
  rates = [PEAKS.get(device.device_kind) for device in devices]
  known = [rate for rate in rates if rate is not None]
  return sum(known) if known and len(known) == len(rates) else None
