"""Support tickets, each for the department that can help: the example of docs/own_data.md."""

import pathlib

from flan_jax.data.dataset import Dataset
from flan_jax.data.files import Jsonl
from flan_jax.data.registry import register_family
from flan_jax.data.splits import Splits
from flan_jax.data.template import Template

TICKETS = Dataset(
  name='tickets', cluster='support', source=Jsonl(pathlib.Path(__file__).with_name('tickets.jsonl')),
  options=('billing', 'delivery', 'hardware', 'login'),
  fields=lambda row: {'ticket': row['text'], 'answer': row['department']},
  splits=Splits(train='train[:40]', validation='train[40:48]', test='train[48:]'),
  templates=(Template('{ticket}\n\nWhich department can help?\n{options}'),
             Template('Send this ticket to the right department.\n{options}\n\nTicket: {ticket}'),
             Template('Write a ticket for the {answer} department.', targets='{ticket}')),  # trains, is never scored
)  # fmt: skip
register_family('mine', [TICKETS])
