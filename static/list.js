// The bulk bar of the list of instances: how many are selected, ranges with Shift, all rows of the page or of a group. An
// instance in several groups has a row in each; they are selected together.
// Without this file, rows are selected one by one.
(() => {
  'use strict';
  const rows = (part = document) => [...part.querySelectorAll('[name=ids]')];
  const menu = () => document.querySelector('#bulk [open]');
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

  function check(chosen, isChecked) {
    const ids = new Set(chosen.map((row) => row.value));
    for (const row of rows()) if (ids.has(row.value)) row.checked = isChecked;
  }

  document.addEventListener('click', ({ target, shiftKey }) => {
    if (!menu()?.contains(target)) menu()?.removeAttribute('open');
    if (target.className === 'all') {
      check(rows(target.closest('tbody') ?? document), target.checked);
    } else if (target.name === 'ids') {
      const all = rows();
      const [from, to] = [all.indexOf(last), all.indexOf(target)].sort((a, b) => a - b);
      check([target, ...(shiftKey && from >= 0 ? all.slice(from, to) : [])], target.checked);
      last = target;
    }
    count();
  });
  document.addEventListener('keydown', ({ key }) => {
    if (key !== 'Escape' || !menu()) return;
    menu().querySelector('summary').focus();
    menu().open = false;
  });
  // A new table has the buttons as the server sent them.
  document.addEventListener('htmx:after:swap', count);
  addEventListener('pageshow', count);
  document.addEventListener('DOMContentLoaded', count);
})();
