"""Texts that tokenizers are known to disagree about, and where SentencePiece and T5's class disagree."""

import json
import random
import re
import unicodedata

CLASSES = {
  'words': (
    'the', 'translate', 'English', 'to', 'German:', 'That', 'is', 'good.', 'internationalization', 'naïve', "don't",
    'Überraschung', 'x=1;', '1,234.5', '{a}', '[b]', '~', '\\', '``x', '–', '…', '½', 'ﬁ', '①', 'Ⅷ', '㎏', '™',
    'Donaudampfschifffahrtsgesellschaft' * 20, 'aA9' * 300,
  ),
  'blanks': (
    ' ', '  ', '     ', '\n', '\n\n', '\t', '\r\n', '\r', '\x0b', '\x0c', '\u00a0', '\u1680', '\u180e', '\u2003',
    '\u200b', '\u2028', '\u2029', '\u202f', '\u205f', '\u2060', '\u3000', '\ufeff', '\x85',
  ),
  'runs': ('...', '......', '.' * 40, '---', '-' * 30, '###', '!!!!!', '??????', '***', '____', '=' * 20, '0000000'),
  'special': ('</s>', '<pad>', '<unk>', '<s>', '▁', '▁▁', '▁the', '<extra_id_', '<EXTRA_ID_0>', '＜/s＞', '</ s>'),
  'sentinels': (
    '<extra_id_0>', '<extra_id_1>', '<extra_id_99>', '<extra_id_100>', ' <extra_id_0> ', '\n<extra_id_12>\t',
    '▁<extra_id_0>', '＜extra_id_0＞',
  ),
  'emoji': ('😀', '👩‍👩‍👧', '🇩🇪', '❤️', '👍🏽', '🏴󠁧󠁢󠁥󠁮󠁧󠁿'),
  'combining': (
    'e\u0301', 'a\u030a\u0323', '\u0301', 'Z\u0351\u036b', 'ก็', 'क्षि', 'ㅎㅏㄴ', '\u1112\u1161\u11ab', '①\u0301',
  ),
  'cjk': ('日本語', '中文', 'ｶﾞ', 'ＡＢＣ', '。', '、', '한국어', '𠮷'),
  'rtl': ('שלום', 'مرحبا', '\u200f', '\u202e', 'ﷺ', 'שָׁלוֹם'),
  'control': (
    '\x00', '\x01', '\x07', '\x1b', '\x1c', '\x1d', '\x1f', '\x7f', '\x80', '\x9f', '\ufffe', '\ufffd',
    '\U000e0001', '\U0010ffff',
  ),
}  # fmt: skip
SPECIAL = re.compile(r'</s>|<pad>|<unk>|<extra_id_\d{1,2}>')
_ALONE = re.compile(r'(?<![^ \n\r\t])<extra_id_\d{1,2}>(?![^ \n\r\t])')


def varied(name, number, seed=0):
  """Texts of up to twelve parts, most of one class, with and without blanks around them."""
  draw = random.Random(f'{name} {seed}')
  texts = []
  for _ in range(number):
    parts = (draw.choice(CLASSES[draw.choice((name, name, 'words', 'blanks'))]) for _ in range(draw.randint(1, 12)))
    texts.append(''.join(part + ' ' * (draw.random() < 0.4) for part in parts))
  return [*texts, '', ' ', '\n', *CLASSES[name], *(f'a{part}b {part} c' for part in CLASSES[name])]


def gsm8k(folder):
  """Questions and answers of several lines, and the JSON that they are written in."""
  lines = (folder / 'instructions' / 'gsm8k' / 'test.jsonl').read_text().splitlines()
  rows = [json.loads(line) for line in lines]
  return [text for row, line in zip(rows, lines, strict=True) for text in (row['question'], row['answer'], line)]


def loses_a_mark(text):
  """Whether a combining mark follows a character that normalization rewrites, or one that it is not composed with."""
  for group in re.findall(r'.[\u0300-\u036f\u0591-\u05c7\u200d\ufe0f]+', text, re.DOTALL):
    composed = unicodedata.normalize('NFKC', group)
    if unicodedata.category(group[0])[0] in 'ZC' or (composed != group and len(composed) > 1):
      return True
  return False


def may_differ(text):
  """The reason for which SentencePiece and T5's class may give a text different ids; None where they must not."""
  spaced = _ALONE.sub('x', text)
  if SPECIAL.search(spaced) or SPECIAL.search(unicodedata.normalize('NFKC', spaced)):
    return 'special'
  if '\x85' in text:
    return 'next line'
  return 'mark' if loses_a_mark(text) else None
