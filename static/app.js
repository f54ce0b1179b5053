// Functions in the browser: limit, scroll and pause a live log, copy addresses, update relative times.
// Everything on the pages works without this file.
(() => {
  'use strict';
  const LINES = 1000;

  // One live log on a page. The pause button stops following; lines that arrive in the meantime are kept until it resumes.
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
    // Do not update charts while the data table of one is open.
    if (data?.includes('hx-target="#charts"') && document.querySelector('#charts details[open]')) event.preventDefault();
    if (!box || name) return;
    if (held && data.includes('hx-target="#log"')) {
      // Held back whole; beyond the limit the oldest go, as they would on the screen.
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

  // The title contains the state, so it changes with the swapped content.
  let title = null;
  function retitle() {
    const now = document.querySelector('[data-title]')?.dataset.title ?? null;
    if (title && now) document.title = document.title.replace(title, () => now);
    title = now;
  }

  // A button is replaced together with its row or section: keep the focus there.
  let place = null;
  document.addEventListener('focusin', (event) => { place = event.target.closest('#status, tr[id]')?.id ?? null; });

  // The response to a button may arrive after a newer event on the stream: only newer content is swapped in. Two changes
  // may be in the same millisecond; the stream always sends the last one.
  const since = (part) => Number(part.querySelector('[data-since]')?.dataset.since ?? 0);
  document.addEventListener('htmx:before:swap', (event) => {
    const { ctx, tasks } = event.detail;
    const isStale = ({ target, fragment }) => target?.matches?.('#status, tr[id]') && since(fragment) <= since(target);
    if (ctx.sourceElement?.matches('form') && tasks.some(isStale)) event.preventDefault();
  });

  document.addEventListener('htmx:after:swap', () => {
    retitle();
    if (place && document.activeElement === document.body) document.getElementById(place)?.focus({ preventScroll: true });
    // The saved changes are now running.
    if (document.getElementById('status') && !document.querySelector('#status .outdated')) document.getElementById('pending')?.remove();
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
  // htmx reopens a stream that was open, but not one whose first request fails.
  document.addEventListener('htmx:finally:request', ({ detail: { ctx } }) => {
    const source = ctx.sourceElement;
    const address = source?.getAttribute?.('hx-sse:connect');
    const status = ctx.response?.status ?? 0;
    if (!address || source._htmx?.sse || (status >= 400 && status < 500)) return;
    live('disconnected, reconnecting …');
    setTimeout(() => {
      if (source.isConnected && !source._htmx?.sse) htmx.ajax('GET', address, { source });
    }, 1000 + 1000 * Math.random());
  });

  document.addEventListener('click', (event) => {
    const button = event.target.closest('button');
    if (!button) return;
    if (event.detail > 1 && button.closest('[hx-post]')) {
      // The second half of a double click would hit Stop, which has taken the place of Start.
      event.preventDefault();
      return;
    }
    if (button.id === 'log-pause') {
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
    } else if (button.dataset.copy) {
      event.preventDefault();
      const confirm = () => {
        button.textContent = 'Copied';
        setTimeout(() => { button.textContent = 'Copy'; }, 1500);
      };
      if (navigator.clipboard) {
        navigator.clipboard.writeText(button.dataset.copy).then(confirm);
      } else {
        // Browsers have no clipboard API on pages without HTTPS.
        const text = document.createElement('textarea');
        text.className = 'unseen';
        text.value = button.dataset.copy;
        button.after(text);
        text.select();
        if (document.execCommand('copy')) confirm();
        text.remove();
        button.focus();
      }
    } else if (button.id === 'theme') {
      event.preventDefault();
      const root = document.documentElement;
      const dark = root.dataset.theme ? root.dataset.theme === 'dark' : matchMedia('(prefers-color-scheme: dark)').matches;
      root.dataset.theme = dark ? 'light' : 'dark';
      try { localStorage.setItem('theme', root.dataset.theme); } catch { /* private window: for this page only */ }
    }
  });

  // Marks invalid fields after a check for screen readers, too.
  document.addEventListener('htmx:finally:request', () => {
    for (const field of document.querySelectorAll('#form .field')) {
      const isWrong = !!field.querySelector('.error');
      field.classList.toggle('invalid', isWrong);
      const input = field.querySelector('[name]');
      if (isWrong) input?.setAttribute('aria-invalid', 'true');
      else input?.removeAttribute('aria-invalid');
    }
  });

  // The same for a held key.
  document.addEventListener('keydown', (event) => {
    if (event.repeat && event.key === 'Enter' && event.target.closest('[hx-post]')) event.preventDefault();
  });

  document.documentElement.classList.add('js');
  try {
    const theme = localStorage.getItem('theme');
    if (theme === 'dark' || theme === 'light') document.documentElement.dataset.theme = theme;
  } catch { /* no storage: the system's preference holds */ }

  // Updates relative times. The exact time is in the element itself.
  function spoken(seconds) {
    const s = Math.max(0, Math.floor(seconds));
    if (s < 60) return `${s} s`;
    if (s < 3600) return `${Math.floor(s / 60)} min`;
    if (s < 86400) return `${Math.floor(s / 3600)} h ${Math.floor(s / 60) % 60} min`;
    return `${Math.floor(s / 86400)} d ${Math.floor(s / 3600) % 24} h`;
  }
  setInterval(() => {
    // Old data must not look current.
    if (document.hidden || document.documentElement.dataset.connection) return;
    for (const time of document.querySelectorAll('time[data-since]')) {
      time.textContent = spoken((Date.now() - Number(time.dataset.since)) / 1000);
    }
    for (const time of document.querySelectorAll('time[data-until]')) {
      const left = (Number(time.dataset.until) - Date.now()) / 1000;
      time.textContent = left > 0 ? spoken(left) : 'a moment';
    }
  }, 1000);

  document.addEventListener('DOMContentLoaded', () => {
    retitle();
    const box = log();
    if (!box) return;
    box.dataset.follow = '1';
    box.scrollTop = box.scrollHeight;
  });
  // Rotating a phone wraps lines differently; keep the newest in view.
  addEventListener('resize', () => {
    const box = log();
    if (box?.dataset.follow === '1') box.scrollTop = box.scrollHeight;
  });
  // For browsers that support autofocus on fields only.
  addEventListener('load', () => requestAnimationFrame(() => {
    if (document.activeElement === document.body) document.querySelector('[data-focus]')?.focus();
  }));
})();
