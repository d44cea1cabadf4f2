'use strict';
// Answers, chosen by what they are of and how they turned out. All text goes through textContent: it is shown, never run.
{
  const AT_ONCE = 10;  // cards; more on request
  const FOLDED = 8;  // options of a card beyond these are folded away
  const data = JSON.parse(document.getElementById('answers').textContent);
  const VERDICTS = {right: 'right', wrong: 'wrong', sure: 'most confident wrong', partly: 'partly right',
    unjudged: 'not judged row by row'};
  const chosen = {};
  let limit = AT_ONCE;

  function element(tag, kind, ...inside) {
    const made = document.createElement(tag);
    if (kind) made.className = kind;
    made.append(...inside);
    return made;
  }

  function addChoice(place, name, label, entries) {
    if (entries.length < 2) return;
    const select = document.createElement('select');
    select.name = name;
    select.append(new Option('all', ''), ...entries.map(([value, text]) => new Option(text, value)));
    select.addEventListener('change', () => { chosen[name] = select.value; limit = AT_ONCE; show(); });
    place.append(element('label', '', label, select));
  }

  const distinct = key => [...new Set(data.groups.map(group => String(group[key])))].map(value => [value, value]);

  function build() {
    const filters = element('div', 'filters');
    // Where it is the cluster that was asked about, the held-out one is no choice of its own.
    if (data.groups.some(group => group.heldOut && group.heldOut !== group.cluster)) {
      addChoice(filters, 'heldOut', 'held-out cluster', distinct('heldOut'));
    }
    addChoice(filters, 'cluster', 'cluster', distinct('cluster'));
    addChoice(filters, 'dataset', 'dataset', distinct('dataset'));
    addChoice(filters, 'arm', 'arm', distinct('arm'));
    addChoice(filters, 'template', 'template', distinct('template').sort((a, b) => a[0].localeCompare(b[0], 'en', {numeric: true})));
    const found = Object.keys(VERDICTS).filter(name => data.examples.some(one => matchesVerdict(one, name)));
    addChoice(filters, 'verdict', 'answer', found.map(name => [name, VERDICTS[name]]));
    const search = document.createElement('input');
    search.type = 'search';
    search.name = 'text';
    search.addEventListener('input', () => { chosen.text = search.value.toLowerCase(); limit = AT_ONCE; show(); });
    filters.append(element('label', '', 'text of prompt or answer', search));
    const status = element('p', 'status');
    status.setAttribute('role', 'status');
    const more = element('button', 'more', '');
    more.type = 'button';
    more.addEventListener('click', () => { limit += AT_ONCE; show(); });
    document.getElementById('browse').append(filters, status, element('div', 'cards'), more);
  }

  const ofGroup = group => ['heldOut', 'cluster', 'dataset', 'arm', 'template'].every(
    name => !chosen[name] || String(group[name]) === chosen[name]);
  const matchesVerdict = (one, verdict) => verdict === 'sure' ? one.sure : one.verdict === verdict;

  function matches(one) {
    if (!ofGroup(data.groups[one.group])) return false;
    if (chosen.verdict && !matchesVerdict(one, chosen.verdict)) return false;
    if (!chosen.text) return true;
    const texts = [...data.prompts[one.prompt], one.prediction, ...one.references];
    return texts.some(text => String(text).toLowerCase().includes(chosen.text));
  }

  function show() {
    const found = data.examples.filter(matches);
    if (chosen.verdict === 'sure') found.sort((a, b) => share(b) - share(a));
    const groups = data.groups.filter(ofGroup);
    const answered = groups.reduce((sum, group) => sum + Object.values(group.counts).reduce((a, b) => a + b, 0), 0);
    const here = data.examples.filter(one => ofGroup(data.groups[one.group])).length;
    const files = [...new Set(groups.map(group => group.file))];
    const browse = document.getElementById('browse');
    browse.querySelector('.status').textContent =
      `${found.length} ${found.length === 1 ? 'answer matches' : 'answers match'}. Of ${answered.toLocaleString('en')} ` +
      `answers of this choice ${here.toLocaleString('en')} are on this page, ` +
      `${(answered - here).toLocaleString('en')} are left out; all are in ` +
      (files.length === 1 ? files[0] : `${files.length} files under predictions/`) + '.';
    browse.querySelector('.cards').replaceChildren(...found.slice(0, limit).map(card));
    const more = browse.querySelector('.more');
    more.hidden = found.length <= limit;
    more.textContent = `Show ${Math.min(AT_ONCE, found.length - limit)} more of ${found.length - limit}`;
  }

  const shares = scores => {
    const top = Math.max(...scores);
    const weights = scores.map(score => Math.exp(score - top));
    const total = weights.reduce((a, b) => a + b, 0);
    return weights.map(weight => weight / total);
  };
  const share = one => one.scores.length ? Math.max(...shares(one.scores)) : 0;
  const percent = value => `${(100 * value).toFixed(1)} %`;

  function prompt(parts) {
    const made = element('pre', '', parts[0]);
    if (parts.length > 1) {
      made.append(element('span', 'cut', ` [${parts[1].toLocaleString('en')} characters are left out here] `), parts[2]);
    }
    made.tabIndex = 0;
    made.setAttribute('aria-label', 'prompt');
    return made;
  }

  function options(one) {
    const ranked = shares(one.scores).map((value, place) => ({value, place})).sort((a, b) => b.value - a.value);
    const line = ({value, place}) => {
      const bar = element('span', 'bar');
      bar.style.width = `${100 * value}%`;
      const marks = [];
      if (one.options[place] === one.prediction) marks.push('model\u2019s choice');
      if (place === one.answer) marks.push('right answer');
      const mark = element('td', place === one.answer ? 'text mark answer' : 'text mark', marks.join(', '));
      return element('tr', one.options[place] === one.prediction ? 'chosen' : '',
        element('td', 'text', one.options[place], bar), mark, element('td', 'number', percent(value)),
        element('td', 'number', one.scores[place].toFixed(2)));
    };
    const head = element('tr', '', ...[['text', 'option'], ['text mark', ''], ['number', 'share'], ['number', 'score']]
      .map(([kind, text]) => { const made = element('th', kind, text); made.scope = 'col'; return made; }));
    const table = rows => element('table', 'options', element('thead', '', head.cloneNode(true)), element('tbody', '', ...rows.map(line)));
    if (ranked.length <= FOLDED) return [table(ranked)];
    return [table(ranked.slice(0, FOLDED)), element('details', '',
      element('summary', '', `${ranked.length - FOLDED} more options`), table(ranked.slice(FOLDED)))];
  }

  function card(one) {
    const group = data.groups[one.group];
    const verdict = VERDICTS[one.verdict] + (one.scores.length ? `, ${percent(share(one))} sure` : '');
    const template = group.template === 'none' ? 'no template' : `template ${group.template}`;
    const about = [group.heldOut && group.heldOut !== group.cluster ? `held out ${group.heldOut}` : '', group.split,
      one.row, one.truncated ? 'prompt or target was cut for the model' : ''].filter(Boolean).join(' \u00b7 ');
    const kind = {right: 'right', wrong: 'wrong'}[one.verdict] || '';
    const said = one.options.length
      ? options(one)
      : [element('p', 'said', element('strong', '', 'Written: '), one.prediction || '(nothing)'),
         element('p', 'said answer', element('strong', '', 'Right: '), one.references.join('\n'))];
    return element('article', kind,
      element('h3', '', `${group.dataset}, ${template}, ${group.arm}: `, element('span', 'verdict', verdict)),
      element('p', 'from', about), prompt(data.prompts[one.prompt]), ...said);
  }

  build();
  show();
}
