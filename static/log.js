// A live log: limits, scrolls and pauses it. The log works without this file.
(() => {
  'use strict';
  const LINES = 1000;

  // The pause button stops following; lines that arrive in the meantime are kept until it resumes.
  const log = () => document.getElementById('log');
  const count = (html) => html.split('<div class="line').length - 1;
  let held = null;
  let dropped = 0;

  function drop(lines) {
    dropped += lines;
    const note = document.getElementById('log-dropped');
    if (!note) return;
    note.hidden = false;
    // Written here, not in the page, because text browsers show hidden elements.
    if (!note.firstChild) note.innerHTML = 'The <b></b> oldest lines were removed from this page. Reload, then open “Older lines” to see them.';
    note.querySelector('b').textContent = dropped.toLocaleString();
  }

  function trim(box) {
    const lines = box.querySelectorAll('.line');
    if (lines.length) document.getElementById('log-empty')?.remove();
    const over = lines.length - LINES;
    if (over <= 0) return;
    for (let i = 0; i < over; i++) lines[i].remove();
    drop(over);
  }

  function atEnd(box) {
    return box.scrollHeight - box.scrollTop - box.clientHeight < 48;
  }

  document.addEventListener('htmx:sse:before:message', (event) => {
    const box = log();
    const { data, event: name } = event.detail.message;
    if (!box || name) return;
    if (held && data.includes('hx-target="#log"')) {
      // Beyond the limit the oldest go, as they would on the screen.
      held.push({ data, lines: count(data) });
      let lines = held.reduce((sum, piece) => sum + piece.lines, 0);
      while (lines - held[0].lines >= LINES) {
        const gone = held.shift().lines;
        lines -= gone;
        drop(gone);
      }
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

  // The line under the log shows whether it is live.
  let connection = 'connecting …';
  function live(words = connection) {
    connection = words;
    const state = document.getElementById('log-live');
    if (state) state.textContent = held && words === 'live' ? 'paused' : words;
  }
  document.addEventListener('htmx:sse:after:connection', () => live('live'));
  document.addEventListener('htmx:sse:error', ({ detail }) => {
    live(detail.status === 404 ? 'closed: this instance was deleted' : 'disconnected, reconnecting …');
  });
  document.addEventListener('htmx:sse:close', () => live('closed'));
  document.addEventListener('stream-failed', () => live('disconnected, reconnecting …'));

  document.addEventListener('click', (event) => {
    const button = event.target.closest('#log-pause');
    if (!button) return;
    event.preventDefault();
    const box = log();
    if (held) {
      const pieces = held;
      held = null;
      button.textContent = 'Pause';
      button.setAttribute('aria-pressed', 'false');
      live();
      const source = document.getElementById('log-stream');
      if (source && window.htmx && pieces.length) {
        htmx.swap({ sourceElement: source, target: source, swap: 'none', text: pieces.map((piece) => piece.data).join(''), request: {}, response: {} });
      }
      if (box) box.scrollTop = box.scrollHeight;
    } else {
      held = [];
      button.textContent = 'Resume';
      button.setAttribute('aria-pressed', 'true');
      live();
    }
  });

  document.addEventListener('DOMContentLoaded', () => {
    const box = log();
    if (!box) return;
    const place = box.querySelector(':target, .target, #at');
    if (place) return place.scrollIntoView({ block: 'center' });
    box.dataset.follow = '1';
    box.scrollTop = box.scrollHeight;
  });
  // A rotated phone wraps lines differently.
  addEventListener('resize', () => {
    const box = log();
    if (box?.dataset.follow === '1') box.scrollTop = box.scrollHeight;
  });
})();
