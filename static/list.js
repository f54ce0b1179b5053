// The bulk bar of the list of instances: how many are selected, ranges with Shift, all rows of the page or of a group. An
// instance in several groups has a row in each; they are selected together.
// Without this file, rows are selected one by one.
(() => {
  'use strict';
  const rows = () => [...document.querySelectorAll('[name=ids]')];
  let last = null;

  function count() {
    const bulk = document.getElementById('bulk');
    if (!bulk) return;
    const selected = new Set(rows().filter((row) => row.checked).map((row) => row.value)).size;
    const whole = bulk.querySelector('[type=checkbox]');
    const isWhole = whole?.checked;
    bulk.querySelector('output').textContent = isWhole ? whole.parentElement.textContent.trim() : selected;
    for (const button of bulk.querySelectorAll('button')) button.disabled = !selected && !isWhole;
  }

  document.addEventListener('click', ({ target, shiftKey }) => {
    const all = rows();
    const menu = document.querySelector('#bulk [open]');
    if (menu && !menu.contains(target)) menu.open = false;
    if (target.className === 'all') {
      const part = target.closest('tbody') ?? document;
      const ids = new Set([...part.querySelectorAll('[name=ids]')].map((row) => row.value));
      for (const row of all) if (ids.has(row.value)) row.checked = target.checked;
    } else if (target.name === 'ids') {
      const [from, to] = [all.indexOf(last), all.indexOf(target)].sort((a, b) => a - b);
      const range = shiftKey && from >= 0 ? all.slice(from, to) : [];
      const ids = new Set([target, ...range].map((row) => row.value));
      for (const row of all) if (ids.has(row.value)) row.checked = target.checked;
      last = target;
    }
    count();
  });
  document.addEventListener('keydown', ({ key }) => {
    const menu = document.querySelector('#bulk [open]');
    if (key !== 'Escape' || !menu) return;
    menu.open = false;
    menu.querySelector('summary').focus();
  });
  // A new table has the buttons as the server sent them.
  document.addEventListener('htmx:after:swap', count);
  addEventListener('pageshow', count);
  document.addEventListener('DOMContentLoaded', count);
})();
