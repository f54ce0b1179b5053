// The pointer on charts: time and values of all series under the mouse, by arrow keys, and zoom by dragging. The values come
// from the data table of the chart. Without this file, the table and the form for a time range do the same.
(() => {
  'use strict';
  // The active chart, its rows from the oldest on, the shown row, the time at which a drag began, and where the mouse is.
  let plot = null, rows = [], at = -1, begun = null, mouse = null;

  function axis() {
    const [left, right, from, to] = plot.querySelector('svg').dataset.plot.split(' ').map(parseFloat);
    const place = (time) => left + (right - left) * Math.min(1, Math.max(0, (time - from) / (to - from)));
    const time = (x) => {
      const box = plot.getBoundingClientRect();
      const part = ((x - box.left) / box.width * 100 - left) / (right - left);
      return from + (to - from) * Math.min(1, Math.max(0, part));
    };
    return { place, time };
  }

  const part = (name) => plot.querySelector(`:scope > ${name}`) ?? plot.appendChild(document.createElement(name));

  function band(from, to) {
    const { place } = axis(), line = part('i');
    line.style.left = `${place(Math.min(from, to))}%`;
    line.style.width = `${Math.abs(place(to) - place(from))}%`;
  }

  function show(index) {
    at = Math.min(rows.length - 1, Math.max(0, index));
    const row = rows[at];
    if (!row) return;
    const [time, ...cells] = row.tr.cells;
    const tip = part('div'), left = axis().place(row.at);
    tip.replaceChildren(Object.assign(document.createElement('b'), { textContent: time.textContent }));
    for (const cell of cells) {
      const line = tip.appendChild(document.createElement('span'));
      line.append(cell.dataset.label ?? '', Object.assign(document.createElement('b'), { textContent: cell.textContent }));
    }
    tip.style[left > 50 ? 'right' : 'left'] = `${left > 50 ? 101 - left : left + 1}%`;
    tip.style[left > 50 ? 'left' : 'right'] = 'auto';
    if (begun === null) band(row.at, row.at);
    plot.setAttribute('aria-valuenow', at);
    plot.setAttribute('aria-valuetext', [...row.tr.cells].map((cell) => `${cell.dataset.label ?? ''} ${cell.textContent}`).join(', '));
  }

  function leave() {
    if (!plot) return;
    for (const name of ['i', 'div']) part(name).remove();
    plot = begun = mouse = null;
  }

  async function enter(next) {
    if (plot === next) return;
    leave();
    plot = next;
    rows = [];
    at = -1;
    let table = document.getElementById(next.dataset.table)?.querySelector('tbody');
    if (!table) {
      const answer = await fetch(next.dataset.rows, { headers: { 'HX-Request': 'true', 'HX-Target': `div#${next.dataset.table}` } });
      table = new DOMParser().parseFromString(await answer.text(), 'text/html').querySelector('tbody');
    }
    if (plot !== next || !table) return;
    rows = [...table.rows].map((tr) => ({ tr, at: Date.parse(tr.querySelector('time').dateTime) })).reverse();
    at = rows.length - 1;
    next.setAttribute('aria-valuemax', Math.max(0, at));
    if (document.activeElement === next) show(rows.length - 1);
    // The mouse may rest on the chart since before its rows were there.
    else if (mouse !== null) showUnder(mouse);
  }

  const showUnder = (x) => {
    const time = axis().time(x);
    show(rows.findLastIndex((row) => row.at <= time));
    return time;
  };
  const under = (event) => event.target.closest?.('.plot');

  document.addEventListener('pointermove', (event) => {
    const found = begun === null ? under(event) : plot;
    if (!found) {
      if (plot && document.activeElement !== plot) leave();
      return;
    }
    enter(found);
    mouse = event.clientX;
    const time = showUnder(mouse);
    if (begun !== null) band(begun, time);
  });
  document.addEventListener('pointerdown', (event) => {
    const found = under(event);
    if (!found || event.button || event.pointerType === 'touch') return;
    enter(found);
    begun = axis().time(event.clientX);
  });
  document.addEventListener('pointerup', (event) => {
    if (begun === null) return;
    const times = [begun, axis().time(event.clientX)].sort((a, b) => a - b);
    begun = null;
    // A click is no time range.
    if (times[1] - times[0] < 1000 || !plot.querySelector('i')?.offsetWidth || plot.querySelector('i').offsetWidth < 8) return;
    const url = new URL(plot.dataset.zoom, location);
    ['from', 'to'].forEach((name, n) => url.searchParams.set(name, new Date(times[n]).toISOString()));
    location = url;
  });

  document.addEventListener('focusin', (event) => {
    const found = under(event);
    if (found) enter(found);
    else leave();
  });
  document.addEventListener('keydown', (event) => {
    if (!plot || event.target !== plot) return;
    const step = { ArrowLeft: -1, ArrowRight: 1, ArrowDown: -1, ArrowUp: 1, PageDown: -10, PageUp: 10, Home: -Infinity, End: Infinity }[event.key];
    if (event.key === 'Escape') plot.blur();
    else if (step) {
      event.preventDefault();
      show(at + step);
    }
  });
  document.addEventListener('focusout', (event) => { if (event.target === plot) leave(); });

  // A chart does not change while it is read.
  document.addEventListener('htmx:sse:before:message', (event) => {
    if (plot && event.detail.message.data?.includes('hx-target="#charts"')) event.preventDefault();
  });
  document.addEventListener('htmx:before:swap', (event) => {
    if (plot && event.detail.tasks.some(({ target }) => target?.contains?.(plot))) event.preventDefault();
  });

  function prepare() {
    for (const one of document.querySelectorAll('.plot')) {
      const id = one.id.replace(/-plot$/, '');
      const all = { role: 'slider', tabindex: 0, 'aria-labelledby': `${id}-t`, 'aria-describedby': `${id}-d`, 'aria-valuemin': 0, 'aria-valuemax': 1, 'aria-valuenow': 0, 'aria-valuetext': 'Arrow keys show the values.' };
      if (one !== plot) for (const name in all) one.setAttribute(name, all[name]);
    }
  }
  document.addEventListener('htmx:after:swap', prepare);
  prepare();
})();
