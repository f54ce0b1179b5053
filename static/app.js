// What the server cannot do: keep a live log bounded and scrolled, pause it, copy an address, keep relative times fresh.
// Everything on the pages works without this file.
(() => {
  'use strict';
  const LINES = 1000;

  // One live log on a page. The pause button stops following; what arrives meanwhile is kept for when it goes on.
  const log = () => document.getElementById('log');
  let held = null;
  let dropped = 0;

  function trim(box) {
    const lines = box.querySelectorAll('.line');
    const over = lines.length - LINES;
    if (over <= 0) return;
    for (let i = 0; i < over; i++) lines[i].remove();
    dropped += over;
    const note = document.getElementById('log-dropped');
    if (note) {
      note.hidden = false;
      note.querySelector('b').textContent = dropped.toLocaleString();
    }
  }

  function atEnd(box) {
    return box.scrollHeight - box.scrollTop - box.clientHeight < 48;
  }

  document.addEventListener('htmx:sse:before:message', (event) => {
    const box = log();
    if (!box || event.detail.message.event) return;
    if (held && event.detail.message.data.includes('hx-target="#log"')) {
      // Held back whole; beyond the limit the oldest go, as they would on the screen.
      held.push(event.detail.message.data);
      if (held.length > LINES) held.shift();
      event.preventDefault();
      return;
    }
    box.dataset.follow = atEnd(box) ? '1' : '';
  });

  document.addEventListener('htmx:after:swap', () => {
    const box = log();
    if (!box) return;
    trim(box);
    if (box.dataset.follow === '1') box.scrollTop = box.scrollHeight;
  });

  // The line under the log says whether it is live.
  function live(text) {
    const state = document.getElementById('log-live');
    if (state) state.textContent = text;
  }
  document.addEventListener('htmx:sse:after:connection', () => live(held ? 'paused' : 'live'));
  document.addEventListener('htmx:sse:error', () => live('connection lost, trying again …'));
  document.addEventListener('htmx:sse:close', () => live('not live'));

  document.addEventListener('click', (event) => {
    const button = event.target.closest('button');
    if (!button) return;
    if (button.id === 'log-pause') {
      event.preventDefault();
      const box = log();
      if (held) {
        const pieces = held;
        held = null;
        button.textContent = 'Pause';
        button.setAttribute('aria-pressed', 'false');
        live('live');
        const source = document.getElementById('log-stream');
        if (source && window.htmx && pieces.length) {
          htmx.swap({ sourceElement: source, target: source, swap: 'none', text: pieces.join(''), request: {}, response: {} });
        }
        if (box) box.scrollTop = box.scrollHeight;
      } else {
        held = [];
        button.textContent = 'Go on';
        button.setAttribute('aria-pressed', 'true');
        live('paused');
      }
    } else if (button.dataset.copy) {
      event.preventDefault();
      navigator.clipboard?.writeText(button.dataset.copy).then(() => {
        const before = button.textContent;
        button.textContent = 'Copied';
        setTimeout(() => { button.textContent = before; }, 1500);
      });
    } else if (button.id === 'theme') {
      event.preventDefault();
      const root = document.documentElement;
      const dark = root.dataset.theme ? root.dataset.theme === 'dark' : matchMedia('(prefers-color-scheme: dark)').matches;
      root.dataset.theme = dark ? 'light' : 'dark';
      try { localStorage.setItem('theme', root.dataset.theme); } catch { /* private window: for this page only */ }
    }
  });

  try {
    const theme = localStorage.getItem('theme');
    if (theme === 'dark' || theme === 'light') document.documentElement.dataset.theme = theme;
  } catch { /* no storage: the system's preference holds */ }

  // Relative times count on. The exact time stands in the element itself.
  function spoken(seconds) {
    const s = Math.max(0, Math.floor(seconds));
    if (s < 60) return `${s} s`;
    if (s < 3600) return `${Math.floor(s / 60)} min`;
    if (s < 86400) return `${Math.floor(s / 3600)} h ${Math.floor(s / 60) % 60} min`;
    return `${Math.floor(s / 86400)} d ${Math.floor(s / 3600) % 24} h`;
  }
  setInterval(() => {
    if (document.hidden) return;
    for (const time of document.querySelectorAll('time[data-since]')) {
      time.textContent = spoken((Date.now() - Number(time.dataset.since)) / 1000);
    }
    for (const time of document.querySelectorAll('time[data-until]')) {
      const left = (Number(time.dataset.until) - Date.now()) / 1000;
      time.textContent = left > 0 ? spoken(left) : 'a moment';
    }
  }, 1000);

  document.addEventListener('DOMContentLoaded', () => {
    document.documentElement.classList.add('js');
    const box = log();
    if (box) box.scrollTop = box.scrollHeight;
    const errors = document.querySelector('[data-focus]');
    if (errors) errors.focus();
  });
})();
