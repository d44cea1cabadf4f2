'use strict';
// Tables can be sorted by a click on a heading and, long ones, searched; what is folded unfolds for the printer.
{
  const SEARCHED = 12;  // rows; shorter tables are read faster than searched
  const WIDE = 11;  // columns; wider tables are printed across the paper

  // The number that a cell begins with; cells without one come last whichever way a column is sorted.
  const number = text => /^[+-]?[\d,]*\.?\d/.test(text) ? parseFloat(text.replaceAll(',', '')) : NaN;

  const compare = (one, other) => {
    const [a, b] = [number(one), number(other)];
    return Number.isNaN(a) && Number.isNaN(b) ? one.localeCompare(other, 'en', {numeric: true}) : a - b;
  };

  function sort(table, place, heading) {
    const up = heading.getAttribute('aria-sort') === 'ascending' ||
      (!heading.hasAttribute('aria-sort') && !heading.classList.contains('text'));
    for (const other of table.tHead.rows[0].cells) other.removeAttribute('aria-sort');
    heading.setAttribute('aria-sort', up ? 'descending' : 'ascending');
    const body = table.tBodies[0];
    const text = row => row.cells[place].textContent;
    const rows = [...body.rows];
    const numeric = rows.some(row => !Number.isNaN(number(text(row))));
    const isLast = row => text(row) === '-' || text(row) === '' || (numeric && Number.isNaN(number(text(row))));
    rows.sort((one, other) =>
      isLast(one) - isLast(other) || (up ? -1 : 1) * compare(text(one), text(other)));
    body.append(...rows);
  }

  function addSearch(box, table) {
    const label = document.createElement('label');
    const input = document.createElement('input');
    const status = document.createElement('span');
    input.type = 'search';
    label.className = 'search';
    label.append('Search this table', input, status);
    status.setAttribute('role', 'status');
    input.addEventListener('input', () => {
      const words = input.value.toLowerCase().split(/\s+/).filter(Boolean);
      let shown = 0;
      for (const row of table.tBodies[0].rows) {
        const text = row.textContent.toLowerCase();
        row.hidden = !words.every(word => text.includes(word));
        shown += !row.hidden;
      }
      status.textContent = words.length ? `${shown} of ${table.tBodies[0].rows.length} rows` : '';
    });
    box.before(label);
  }

  for (const table of document.querySelectorAll('.scroll > table')) {
    const box = table.parentElement;
    box.tabIndex = 0;
    box.setAttribute('role', 'region');
    box.setAttribute('aria-label', table.caption.firstChild.textContent);
    [...table.tHead.rows[0].cells].forEach((heading, place) => {
      const button = document.createElement('button');
      button.type = 'button';
      button.append(...heading.childNodes);
      heading.append(button);
      button.addEventListener('click', () => sort(table, place, heading));
    });
    for (const cell of table.querySelectorAll('td.text')) cell.classList.toggle('long', cell.textContent.length > 60);
    box.classList.toggle('wide', table.tHead.rows[0].cells.length > WIDE);
    if (table.tBodies[0].rows.length > SEARCHED) {
      box.classList.add('tall');
      addSearch(box, table);
    }
  }

  let opened = [];
  addEventListener('beforeprint', () => {
    opened = [...document.querySelectorAll('details:not([open])')];
    for (const one of opened) one.open = true;
  });
  addEventListener('afterprint', () => { for (const one of opened) one.open = false; });
}
