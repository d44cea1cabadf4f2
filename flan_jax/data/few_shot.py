"""Solved examples before the question, each rendered and tokenized once, however many questions it goes before.

Wei et al. 2021 (section 4.4) put k exemplars of the training rows, under the question's own template, before it. Here
a block of questions meets a pool of training rows that are rendered and tokenized already; every question draws its
exemplars from the pool, never its own row, and keeps as many of them, in order, as its token budget holds.
"""

import seqio
import tensorflow as tf

from flan_jax.data import provenance, provenance_records
from flan_jax.data.blocks import as_written
from flan_jax.data.dataset import Fields
from flan_jax.data.extract import Preprocessor
from flan_jax.data.preprocessors import (
  INPUTS,
  TARGETS,
  TEMPLATE,
  Lengths,
  Vocabularies,
  close,
  encode,
)  # fmt: skip
from flan_jax.data.source import ROW_ID
from flan_jax.data.vocabulary import encode_block

POOL = 256  # training rows among which a block of questions draws
BLOCK = 512  # questions of a block: each exemplar is rendered and tokenized once for so many
EXEMPLARS = 'exemplars'  # of an example: the ids of the rows that are its exemplars

# T5's vocabulary has no line break, so that words, not layout, must tell a question from its answer.
SOLVED = ('Input: ', '\nOutput: ', '\n\n')
ASKED = ('Input: ', '\nOutput:')


def solve(block: Fields, vocabularies: Vocabularies) -> Fields:
  """Writes a block of rendered training rows as exemplars, texts and tokens."""
  before, between, after = SOLVED
  text = tf.strings.join([before, block[INPUTS], between, block[TARGETS], after])
  return {
    'text': text,
    'tokens': encode_block(vocabularies[INPUTS], text),
    TEMPLATE: block[TEMPLATE],
    ROW_ID: block[ROW_ID],
  }


def ask(block: Fields, vocabularies: Vocabularies, *, rank: bool) -> Fields:
  """Writes a block of rendered questions as what comes after exemplars, tokenized and not yet cut."""
  before, after = ASKED
  return encode(block | {INPUTS: tf.strings.join([before, block[INPUTS], after])}, vocabularies, rank=rank)


def prepend(shots: int, lengths: Lengths, vocabularies: Vocabularies, texts: bool = True) -> Preprocessor:
  """Returns the step that gives each question of a block its exemplars.

  Args:
    shots: how many, where the pool has as many of the question's template and the budget holds them.
    lengths: token limits; exemplars that would not fit before the question go, from the last one on.
    vocabularies: of `inputs` and `targets`.
    texts: whether anybody reads the prompts as texts.

  Returns:
    A SeqIO preprocessor of pairs (block of questions, pool of exemplars), which gives blocks.
  """

  @seqio.map_over_dataset(num_seeds=1)
  @as_written
  def step(pair: tuple[Fields, Fields], seed: tf.Tensor) -> Fields:
    block, pool = pair
    drawn, found = _draw(block, pool, shots, seed)
    limit = lengths.get(INPUTS)
    if limit is not None:
      room = limit - 1 - block[INPUTS].row_lengths()
      sizes = tf.where(found, tf.gather(pool['tokens'].row_lengths(), drawn), 0)
      found &= tf.cumsum(sizes, axis=1) <= room[:, tf.newaxis]
    chosen = tf.ragged.boolean_mask(drawn, found)
    exemplars = tf.gather(pool['tokens'], chosen).merge_dims(1, 2)
    left_out = shots - tf.cast(chosen.row_lengths(), tf.int32)
    block = block | {
      INPUTS: tf.concat([exemplars, block[INPUTS]], axis=1),
      provenance.FEATURE: provenance_records.leave_out(block[provenance.FEATURE], left_out),
    }
    if texts:
      before = tf.strings.reduce_join(tf.gather(pool['text'], chosen), axis=1)
      block |= {
        f'{INPUTS}_pretokenized': tf.strings.join([before, block[f'{INPUTS}_pretokenized']]),
        EXEMPLARS: tf.gather(pool[ROW_ID], chosen),
      }
    return close(block, vocabularies, lengths)

  return step


def _draw(block: Fields, pool: Fields, shots: int, seed: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
  """Draws distinct exemplars for each question, of its template and not of its row.

  Returns:
    Places in the pool, int32 [rows, shots], and which of them count, bool [rows, shots]: the first ones.
  """
  here, there = (tf.strings.to_hash_bucket_fast(side[ROW_ID], 2**62) for side in (block, pool))
  allowed = block[TEMPLATE][:, tf.newaxis] == pool[TEMPLATE][tf.newaxis, :]
  allowed &= here[:, tf.newaxis] != there[tf.newaxis, :]
  allowed &= ~_repeated(there, pool[TEMPLATE])[tf.newaxis, :]
  lots = tf.random.stateless_uniform(tf.shape(allowed), seed)
  size = tf.minimum(shots, tf.shape(allowed)[1])
  best, drawn = tf.math.top_k(tf.where(allowed, lots, -1.0), size)
  return drawn, best >= 0.0


def _repeated(rows: tf.Tensor, templates: tf.Tensor) -> tf.Tensor:
  """Says which members of a pool came before, same row and same template: few training rows fill it several times."""
  same = (rows[:, tf.newaxis] == rows[tf.newaxis, :]) & (templates[:, tf.newaxis] == templates[tf.newaxis, :])
  return tf.reduce_any(tf.linalg.band_part(same, -1, 0) & ~tf.eye(tf.size(rows), dtype=tf.bool), axis=1)
