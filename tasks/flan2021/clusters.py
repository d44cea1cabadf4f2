"""The task clusters of FLAN 2021, and which of them leave training together.

Wei et al. 2021 hold out a whole cluster to ask whether a model can do a kind of task that it was never tuned on. Two
groups of clusters are so close that holding out one and training on the other would answer a different question:
paraphrase is entailment both ways, and the datasets that need reading and common sense at once teach either half.
"""

SUMMARIZATION = 'summarization'
STRUCT_TO_TEXT = 'struct_to_text'
READING_COMPREHENSION = 'reading_comprehension'
CLOSED_BOOK_QA = 'closed_book_qa'
PARAPHRASE = 'paraphrase'
SENTIMENT = 'sentiment'
TEXT_FORMATTING = 'text_formatting'
COMMONSENSE = 'commonsense'
TRANSLATION = 'translation'
COREFERENCE = 'coreference'
NLI = 'nli'
MATH = 'math'
CONVERSATIONAL_QA = 'conversational_qa'
WORD_DISAMBIGUATION = 'word_disambiguation'
LINGUISTIC_ACCEPTABILITY = 'linguistic_acceptability'
QUESTION_CLASSIFICATION = 'question_classification'
READING_COMPREHENSION_WITH_COMMONSENSE = 'reading_comprehension_with_commonsense'

# The order of FLAN's own numbering, `flan_inter_cluster_split_0` to `_16`.
CLUSTERS = (
  SUMMARIZATION,
  STRUCT_TO_TEXT,
  READING_COMPREHENSION,
  CLOSED_BOOK_QA,
  PARAPHRASE,
  SENTIMENT,
  TEXT_FORMATTING,
  COMMONSENSE,
  TRANSLATION,
  COREFERENCE,
  NLI,
  MATH,
  CONVERSATIONAL_QA,
  WORD_DISAMBIGUATION,
  LINGUISTIC_ACCEPTABILITY,
  QUESTION_CLASSIFICATION,
  READING_COMPREHENSION_WITH_COMMONSENSE,
)

# Held-out cluster -> the other clusters that leave training with it. Reading comprehension and commonsense stay for
# each other; only the cluster that needs both touches both.
EXCLUSIONS: dict[str, tuple[str, ...]] = {
  NLI: (PARAPHRASE,),
  PARAPHRASE: (NLI,),
  READING_COMPREHENSION: (READING_COMPREHENSION_WITH_COMMONSENSE,),
  COMMONSENSE: (READING_COMPREHENSION_WITH_COMMONSENSE,),
  READING_COMPREHENSION_WITH_COMMONSENSE: (READING_COMPREHENSION, COMMONSENSE),
}
