// Functions in the browser: copy addresses, update relative times, change the theme, list keyboard shortcuts.
// Everything on the pages works without this file.
(() => {
  'use strict';
  document.addEventListener('htmx:sse:before:message', (event) => {
    const { data } = event.detail.message;
    // Do not update charts while the data table of one is open.
    if (data?.includes('hx-target="#charts"') && document.querySelector('#charts details[open]')) event.preventDefault();
  });

  // The title contains the state, so it changes with the swapped content. Screen readers announce it; the icon of the tab
  // shows problems.
  let title = null;
  const icon = document.querySelector('link[rel=icon]');
  const normalIcon = icon.href;
  function retitle() {
    const part = document.querySelector('[data-title]');
    const now = part?.dataset.title ?? null;
    if (title && now && title !== now) {
      document.title = document.title.replace(title, () => now);
      document.getElementById('announcement').textContent = now;
    }
    title = now;
    const wanted = part && 'problem' in part.dataset ? icon.dataset.problem : normalIcon;
    if (icon.href !== wanted) icon.href = wanted;
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
  });

  // htmx reopens a stream that was open, but not one whose first request fails.
  document.addEventListener('htmx:finally:request', ({ detail: { ctx } }) => {
    const source = ctx.sourceElement;
    const address = source?.getAttribute?.('hx-sse:connect');
    const status = ctx.response?.status ?? 0;
    if (!address || source._htmx?.sse || (status >= 400 && status < 500)) return;
    document.dispatchEvent(new Event('stream-failed'));
    setTimeout(() => {
      if (source.isConnected && !source._htmx?.sse) htmx.ajax('GET', address, { source });
    }, 1000 + 1000 * Math.random());
  });

  document.addEventListener('click', (event) => {
    const menu = event.target.closest('.menu');
    if (menu) {
      // Opening the menu is no step in the history.
      event.preventDefault();
      location.replace(menu.hash);
    }
    const button = event.target.closest('button');
    if (!button) return;
    if (event.detail > 1 && button.closest('[hx-post]')) {
      // The second half of a double click would hit Stop, which has taken the place of Start.
      event.preventDefault();
      return;
    }
    if (button.dataset.copy) {
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
      setTheme({ light: 'dark', dark: 'system' }[theme()] ?? 'light');
      try { localStorage.setItem('theme', theme()); } catch { /* private window: for this page only */ }
    } else if (button.id === 'shortcuts') {
      event.preventDefault();
      showShortcuts();
    }
  });

  const theme = () => document.documentElement.dataset.theme ?? 'system';
  function setTheme(next) {
    if (next === 'light' || next === 'dark') document.documentElement.dataset.theme = next;
    else delete document.documentElement.dataset.theme;
    const button = document.getElementById('theme');
    if (button) button.textContent = `Theme: ${theme()}`;
  }

  // Loads the list of shortcuts when it is first used.
  function showShortcuts() {
    if (window.showShortcuts) return window.showShortcuts();
    const script = document.createElement('script');
    script.src = document.getElementById('shortcuts').dataset.src;
    script.onload = () => window.showShortcuts();
    document.head.append(script);
  }
  // People who dictate type letters by mistake, so the shortcuts can be turned off.
  const hasShortcuts = () => { try { return localStorage.getItem('shortcuts') !== 'off'; } catch { return true; } };
  document.addEventListener('keydown', (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest('input, select, textarea, dialog') || !hasShortcuts()) return;
    if (event.key === '?') {
      showShortcuts();
    } else if (event.key === '/') {
      event.preventDefault();
      const search = document.querySelector('input[type=search]');
      search?.focus();
      search?.select();
      if (!search && !document.getElementById('inst')) location.assign('/instances#q');
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
  try { setTheme(localStorage.getItem('theme')); } catch { /* no storage: the system's preference holds */ }

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
    setTheme(theme());
    if (location.hash === '#q') document.getElementById('q')?.focus();
  });
  // For browsers that support autofocus on fields only.
  addEventListener('load', () => requestAnimationFrame(() => {
    if (document.activeElement === document.body) document.querySelector('[data-focus]')?.focus();
  }));
})();
