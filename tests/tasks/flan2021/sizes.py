"""Official sizes of every dataset, and of the roles that FLAN 2021 gives its rows.

From TFDS's metadata and the official task list; a dash where there is none.
"""

# name: official train/validation/test -> FLAN's train/validation/test
_TABLE = """
aeslc: 14436/1960/1906 -> 14436/200/1906
cnn_dailymail: 287113/13368/11490 -> 30000/200/11490
gigaword: 3803957/189651/1951 -> 30000/200/1951
multi_news: 44972/5622/5622 -> 30000/200/5622
newsroom: 995041/108837/108862 -> 30000/200/108862
xsum: 204045/11332/11334 -> 30000/200/11334
ag_news_subset: 120000/-/7600 -> 30000/200/7600
wiki_lingua_english_en: 99020/13823/28614 -> 30000/200/28614
opinion_abstracts_rotten_tomatoes: 3731/-/- -> 3131/100/500
opinion_abstracts_idebate: 2259/-/- -> 1659/100/500
samsum: 14732/818/819 -> 14732/200/819
common_gen: 67389/993/1497 -> 30000/200/993
dart: 62659/2768/5097 -> 30000/200/2768
e2e_nlg: 33525/1484/1847 -> 30000/200/1484
web_nlg_en: 35426/1667/1779 -> 30000/200/1667
bool_q: 9427/3270/- -> 9227/200/3270
squad_v1: 87599/10570/- -> 30000/200/10570
squad_v2: 130319/11873/- -> 30000/200/11873
drop: 77409/9536/- -> 30000/200/9536
multirc: 27243/4848/9693 -> 27043/200/4848
openbookqa: 4957/500/500 -> 4957/200/500
arc_easy: 2251/570/2376 -> 2051/200/2376
arc_challenge: 1119/299/1172 -> 919/200/1172
natural_questions: 87925/3610/- -> 30000/200/3610
trivia_qa: 138384/18669/17210 -> 30000/200/18669
mrpc: 3668/408/1725 -> 3468/200/408
paws_wiki: 49401/8000/8000 -> 30000/200/8000
qqp: 363849/40430/390965 -> 30000/200/40430
stsb: 5749/1500/1379 -> 5649/100/1500
sst2: 67349/872/1821 -> 30000/200/872
sentiment140: 1600000/-/498 -> 30000/200/498
imdb_reviews: 25000/-/25000 -> 24800/200/25000
yelp_polarity_reviews: 560000/-/38000 -> 30000/200/38000
true_case: 2414895/-/- -> 30000/200/3000
fix_punct: 2414895/-/- -> 30000/200/3000
word_segment: 2414895/-/- -> 30000/200/3000
copa: 400/100/500 -> 350/50/100
story_cloze: -/1871/1871 -> 1671/200/1871
piqa: 16113/1838/3084 -> 16013/100/1838
hellaswag: 39905/10042/10003 -> 30000/200/10042
para_crawl_enes: 21987267/-/- -> 30000/200/1000
wmt14_enfr: 40836715/3000/3003 -> 30000/200/3003
wmt16_translate_deen: 4548885/2169/2999 -> 30000/200/2999
wmt16_translate_tren: 205756/1001/3000 -> 30000/200/3000
wmt16_translate_csen: 997240/2656/2999 -> 30000/200/2999
wmt16_translate_fien: 2073394/1370/6000 -> 30000/200/6000
wmt16_translate_roen: 610320/1999/1999 -> 30000/200/1999
wmt16_translate_ruen: 2516162/2818/2998 -> 30000/200/2998
wsc: 554/104/146 -> 504/50/104
wsc273: -/-/273 -> -/-/273
definite_pronoun_resolution: 1322/-/564 -> 1122/200/564
winogrande: 40398/1267/1767 -> 30000/200/1267
rte: 2490/277/3000 -> 2290/200/277
cb: 250/56/250 -> 200/50/56
anli_r1: 16946/1000/1000 -> 16946/200/1000
anli_r2: 45460/1000/1000 -> 30000/200/1000
anli_r3: 100459/1200/1200 -> 30000/200/1200
mnli_matched: 392702/9815/9796 -> 30000/200/9815
mnli_mismatched: 392702/9832/9847 -> 30000/200/9832
qnli: 104743/5463/5463 -> 30000/200/5463
wnli: 635/71/146 -> 605/30/71
snli: 550152/10000/10000 -> 30000/200/10000
math_dataset: 1999998/-/10000 -> 30000/200/10000
coqa: 7199/-/500 -> 7099/100/500
quac: 83568/7354/- -> 30000/200/7354
wic: 5428/638/1400 -> 5228/200/638
cola: 8551/1043/1063 -> 8351/200/1043
trec: 5452/-/500 -> 5252/200/500
record: 100730/10000/10000 -> 30000/200/10000
cosmos_qa: 25262/2985/6963 -> 25062/200/2985
"""


def _counts(text: str) -> tuple[int | None, ...]:
  return tuple(None if count == '-' else int(count) for count in text.split('/'))


OFFICIAL: dict[str, tuple[int | None, ...]] = {}
ROLES: dict[str, tuple[int | None, ...]] = {}
for _line in _TABLE.strip().splitlines():
  _name, _, _sizes = _line.partition(': ')
  OFFICIAL[_name], ROLES[_name] = map(_counts, _sizes.split(' -> '))
