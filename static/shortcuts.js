// The list of keyboard shortcuts. Loaded when it is first used.
window.showShortcuts = () => {
  'use strict';
  let list = document.getElementById('shortcut-list');
  if (!list) {
    list = document.createElement('dialog');
    list.id = 'shortcut-list';
    list.setAttribute('aria-labelledby', 'shortcut-title');
    list.innerHTML = `<h2 id="shortcut-title">Keyboard shortcuts</h2>
<dl class="shortcuts"><dt><kbd>/</kbd></dt><dd>Search instances</dd><dt><kbd>?</kbd></dt><dd>Show this list</dd><dt><kbd>Esc</kbd></dt><dd>Close this list</dd></dl>
<p><label><input type="checkbox"> Use shortcuts</label></p>
<p><a href="/glossary">Glossary</a></p>
<form method="dialog"><button>Close</button></form>`;
    const box = list.querySelector('input');
    try { box.checked = localStorage.getItem('shortcuts') !== 'off'; } catch { box.disabled = box.checked = true; }
    box.addEventListener('change', () => localStorage.setItem('shortcuts', box.checked ? 'on' : 'off'));
    document.body.append(list);
  }
  if (!list.open) list.showModal();
};
