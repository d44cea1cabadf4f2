"""Summarization of news, and news by topic; `summarization` has the rest of the cluster.

CNN/DailyMail (Hermann et al. 2015, See et al. 2017), Gigaword headlines (Rush et al. 2015), Multi-News (Fabbri et al.
2019), Newsroom (Grusky et al. 2018), XSum (Narayan et al. 2018), and AG News (Zhang et al. 2015), a classification
that FLAN files here.
"""

import tensorflow as tf

from flan_jax.data.dataset import LABEL, Dataset, Fields, Row
from flan_jax.data.splits import OWN_TEST, Splits
from flan_jax.data.template import ANSWER, Template
from tasks.flan2021.clusters import SUMMARIZATION
from tasks.flan2021.texts import filled, numbered, one_line, written

# Daily Mail: "By. Sara Malm. PUBLISHED:. 07:03 EST, 2 March 2013. |. UPDATED:. 08:07 EST, 2 March 2013. Three members".
_BYLINE = r'^.{0,200}?(?:(?:PUBLISHED|UPDATED|CREATED|Last updated at)[^|]{5,40}?20\d\d ?\.[ |.]*)+'
# CNN: "LONDON, England (CNN) -- Harry Potter star"; from 2014 on "(CNN)Harry Potter star".
_DATELINE = r'^(?:[^()]{0,80}\([A-Z][^()]{0,40}\) --|\(CNN\))[ -]*'
_ARTICLE_SEPARATOR = '|||||'
_NEWSER_DASH = '^\N{EN DASH} *'
_NO_WORD = 'UNK|<unk>|#'
# The source escaped dollars and line ends by backslashes, and lost the ampersands of its entities: "world #39;s".
_AG_NEWS_REPAIRS = (
  (r'\\+\$', '$'),
  (r'\\+', ' '),
  (' #39;', "'"),
  (' quot;', '"'),
  (' amp;', '&'),
  (' #36;', '$'),
)


def _article_and_highlights(row: Row) -> Fields:
  # Only what stands at the very start is cut: a year or a dash further on belongs to the article.
  article = one_line(row['article'])
  for heading in (_BYLINE, _DATELINE):
    article = tf.strings.regex_replace(article, heading, '')
  return {'article': article, ANSWER: one_line(row['highlights'])}


CNN_DAILYMAIL = Dataset(
  name='cnn_dailymail',
  cluster=SUMMARIZATION,
  source='cnn_dailymail:3.4.0',
  fields=_article_and_highlights,
  keep=filled(_article_and_highlights),
  splits=OWN_TEST,
  metrics=('rouge',),
  templates=(
    Template('Read this story and say what matters most in it, in three or four short sentences.\n\n{article}'),
    Template('{article}\n\nIn brief:'),
    Template('Somebody has ten seconds. Which points should they take away from the following?\n\n{article}'),
    Template(
      'You edit the front page of a news site. Under each headline stand a few plain statements, so that readers '
      'know what a click will bring them. Provide them for this text.\n\nText:\n{article}\n\nStatements:'
    ),
    Template('{article}\n\nState the key facts of the report one after the other and without comment.'),
    Template(
      'My train leaves soon and I only got as far as the first line. Could you let me know what it says?\n\n"{article}"'
    ),
    Template(
      'Examination in English, part B. Reduce the passage to its essential content. You should not need more than '
      'about sixty words.\n\nPassage: {article}'
    ),
    Template('Report: {article}\nHighlights:'),
    Template(
      'A press archive keeps an abstract of everything that it collects.\n\n{article}\n\nAbstract for the archive:'
    ),
    Template('{answer}\n\nThat was the short version of the news. Now give the long one.', targets='{article}'),
  ),
)


def _sentence_and_headline(row: Row) -> Fields:
  return {'sentence': one_line(row['document']), ANSWER: one_line(row['summary'])}


def _has_all_its_words(row: Row) -> tf.Tensor:
  # Digits are given as # and rare words as UNK (TFDS leaves a test row's <unk>): nobody can tell what stood there.
  text = tf.strings.join([row['document'], row['summary']], separator=' ')
  whole = tf.equal(text, tf.strings.regex_replace(text, _NO_WORD, ''))
  return tf.logical_and(whole, filled(_sentence_and_headline)(row))


GIGAWORD = Dataset(
  name='gigaword',
  cluster=SUMMARIZATION,
  source='gigaword:1.2.0',
  fields=_sentence_and_headline,
  keep=_has_all_its_words,
  splits=OWN_TEST,
  metrics=('rouge',),
  templates=(
    Template('Give a headline to this sentence from a news agency: {sentence}'),
    Template('{sentence}\n\nShorten the above until it would fit over a column.'),
    Template('Opening of the dispatch: {sentence}\nTitle of the dispatch:'),
    Template(
      'Old wire copy is in lower case and has spaces around its punctuation. Condense the line below to a dozen words '
      'at most and keep that style.\n\n{sentence}'
    ),
    Template('How might a newspaper announce the following in as few words as possible?\n\n{sentence}'),
    Template(
      'You are the copy editor on the night shift. An item has just come in, the page is nearly full, and all you '
      'need is the line in bold type.\n\nItem: {sentence}\n\nBold type:'
    ),
    Template('"{sentence}" What is the gist of that?'),
    Template('Delete from the text whatever a reader can do without.\n\nText: {sentence}\nWhat is left:'),
    Template('An article is headed "{answer}". With which sentence does it begin?', targets='{sentence}'),
    Template('{answer}\n\nExpand this telegraphic phrase into a full sentence of news.', targets='{sentence}'),
  ),
)


def _articles_and_summary(row: Row) -> Fields:
  # A summary starts with a dash, as newser.com, where it was published, begins its texts.
  return {
    'articles': numbered(written(tf.strings.split(row['document'], _ARTICLE_SEPARATOR))),
    ANSWER: tf.strings.regex_replace(one_line(row['summary']), _NEWSER_DASH, ''),
  }


MULTI_NEWS = Dataset(
  name='multi_news',
  cluster=SUMMARIZATION,
  source='multi_news:2.1.0',
  fields=_articles_and_summary,
  keep=filled(_articles_and_summary),
  splits=OWN_TEST,
  metrics=('rouge',),
  templates=(
    Template('Several journalists covered the same event. Sum up what they report, taken together.\n\n{articles}'),
    Template('{articles}\n\nCombine these sources into one account of what happened.'),
    Template('Sources:\n{articles}\n\nDigest:'),
    Template(
      'Prepare a briefing for a minister who will read one page and no more. Everything in it has to come from the '
      'coverage that follows.\n\n{articles}\n\nBriefing:'
    ),
    Template('I have saved everything I could find on a story. Can you boil it down to one paragraph?\n\n{articles}'),
    Template(
      'Where news items overlap, a good summary says things once; where they differ, it draws on each. Write one '
      'about these items.\n\n{articles}'
    ),
    Template('Numbered clippings:\n\n{articles}\n\nWhat do we learn from them? Answer at length and in prose.'),
    Template('{articles}\n\nTL;DR, though with enough detail that nobody needs the originals:'),
    Template(
      'Journalism course, final assignment: synthesize the texts given. Marks are awarded for accuracy, for balance, '
      'and for omitting what is beside the point.\n\nTexts given:\n{articles}\n\nSynthesis:'
    ),
    Template(
      'A columnist read the papers and came up with this overview:\n\n{answer}\n\n'
      'Reconstruct, as a numbered list, what the papers had written.',
      targets='{articles}',
    ),
  ),
)


def _title_text_and_summary(row: Row) -> Fields:
  return {
    'title': one_line(row['title']),
    'text': tf.strings.strip(row['text']),
    ANSWER: one_line(row['summary']),
  }


NEWSROOM = Dataset(
  name='newsroom',
  cluster=SUMMARIZATION,
  source='newsroom:1.0.0',
  fields=_title_text_and_summary,
  keep=filled(_title_text_and_summary),
  splits=OWN_TEST,
  metrics=('rouge',),
  templates=(
    Template('{title}\n\n{text}\n\nWrite a teaser for this article.'),
    Template('{text}\n\nWhat the above is about, in a sentence or two:'),
    Template(
      'Search engines put a short description under each link. Which description would suit the page below?\n\n'
      'Link: {title}\n\nPage:\n{text}'
    ),
    Template('Be brief and say what is in the piece entitled "{title}". It reads as follows.\n\n{text}'),
    Template(
      'Magazines print a line or two of introduction between the heading and the body of an article. Here they are '
      'missing; supply them.\n\nHeading: {title}\nBody: {text}\nIntroduction:'
    ),
    Template('Distil the main message from these paragraphs.\n\n{text}'),
    Template(
      'Hi! Somebody sent me a link called "{title}". Before I spend time on it, could you put it in a nutshell?\n\n'
      '{text}'
    ),
    Template(
      'As a librarian you enter newspaper articles in the catalogue. Complete the record.\n\n'
      'Full text: {text}\nTitle: {title}\nContents note:'
    ),
    Template('Think of the headline over an article that an editor summarizes like this: {answer}', targets='{title}'),
    Template(
      'Write an article under the title "{title}". It should bear out the following abstract.\n\n{answer}',
      targets='{text}',
    ),
  ),
)


def _document_and_summary(row: Row) -> Fields:
  return {'document': tf.strings.strip(row['document']), ANSWER: one_line(row['summary'])}


XSUM = Dataset(
  name='xsum',
  cluster=SUMMARIZATION,
  source='xsum:1.1.0',
  fields=_document_and_summary,
  keep=filled(_document_and_summary),
  splits=OWN_TEST,
  metrics=('rouge',),
  templates=(
    Template('{document}\n\nNow say it in one sentence.'),
    Template('Compress the BBC report below into a single statement with which a bulletin could start.\n\n{document}'),
    Template(
      'Someone has cut off the beginning of this article, a sentence that told readers what was to come. Judging by '
      'the rest, restore it.\n\nThe rest:\n{document}\n\nThe beginning:'
    ),
    Template('Article: {document}\nOne-line summary:'),
    Template('You are on air in five seconds with time for one sentence. What do you say about this?\n\n{document}'),
    Template('What, above all, has happened here? Keep to a single sentence.\n\n"{document}"'),
    Template(
      'Extreme summarization is the art of answering the question "What is the article about?" in one sentence of '
      'your own, not in words copied from the page. Practise it.\n\nPage:\n{document}\n\nAnswer:'
    ),
    Template('Please look at this.\n\n{document}\n\nHow would you pass it on to a friend in one breath?'),
    Template('My editor wants the core of the following in about two dozen words. {document}'),
    Template('A news story opens with the words below. Continue it.\n\n{answer}', targets='{document}'),
  ),
)


def _repaired(text: tf.Tensor) -> tf.Tensor:
  for pattern, replacement in _AG_NEWS_REPAIRS:
    text = tf.strings.regex_replace(text, pattern, replacement)
  return one_line(text)


def _title_description_and_topic(row: Row) -> Fields:
  return {'title': _repaired(row['title']), 'description': _repaired(row['description']), LABEL: row['label']}


AG_NEWS_SUBSET = Dataset(
  name='ag_news_subset',
  cluster=SUMMARIZATION,
  source='ag_news_subset:1.0.0',
  fields=_title_description_and_topic,
  options=('World', 'Sports', 'Business', 'Science/Tech'),
  splits=Splits(test='test'),
  templates=(
    Template('{title}\n{description}\n\nIn which section of a newspaper would you look for this?\n\n{options}'),
    Template('Sort a news item into its category.\n\n{options}\n\nHeadline: {title}\nItem: {description}\nCategory:'),
    Template('{options}\n\nOne of these topics is what the following lines are about. Which?\n\n"{description}"'),
    Template(
      'A website has four channels, each with readers of its own. An article called "{title}" has just come in and '
      'begins like this:\n\n{description}\n\nOn which channel should it go online?\n{options}',
      option_style='letters',
    ),
    Template('{title} - {description}\n\nLabel the text with its subject. {options}', option_style='inline'),
    Template(
      'All that we know of an article is that its headline says "{title}". Take a guess at its field.\n\n{options}\n\n'
      'Guess:',
      option_style='numbers',
    ),
    Template(
      'A trainee marks agency reports by theme, as World, Sports, Business or Science/Tech. Show them how to do it.\n\n'
      'Report: {description}\nTheme:'
    ),
    Template(
      'Would this interest a follower of international affairs, a sports fan, an investor, or somebody curious about '
      'research and technology?\n\n{description}\n\n{options}'
    ),
    Template(
      'What could be printed in bold over this report, given that it appears on a page marked "{answer}"?\n\n'
      '{description}',
      targets='{title}',
    ),
    Template(
      'Invent the first lines of a news report.\n\nSection: {answer}\nHeadline: {title}\nFirst lines:',
      targets='{description}',
    ),
  ),
)

NEWS: tuple[Dataset, ...] = (CNN_DAILYMAIL, GIGAWORD, MULTI_NEWS, NEWSROOM, XSUM, AG_NEWS_SUBSET)
