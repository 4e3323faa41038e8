// Single keys. They can be turned off (WCAG 2.1.4), and are never taken from a field that is being written in.

import { h } from './dom.js'
import { t } from './i18n.js'
import { ask } from './dialog.js'

const general = [['j', 'keys.next'], ['k', 'keys.previous'], ['Enter', 'keys.open'], ['/', 'keys.search'], ['?', 'keys.help']]
let ofScreen = []

function areOn() {
  try { return localStorage.getItem('millrace.keys') !== 'off' } catch { return true }
}

/** The keys of the screen that is shown: `[key, text key, action]`. */
export function useKeys(keys) { ofScreen = keys }

export function startKeys(actions) {
  document.addEventListener('keydown', (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return
    const target = event.target
    const writes = target.matches?.('input, textarea, select, [contenteditable], [role="slider"]') || target.closest?.('.CodeMirror')
    if (writes && !(target.matches('input[type="checkbox"]') && event.key !== ' ')) return
    if (document.querySelector('dialog[open]')) return
    if (event.key !== '?' && !areOn()) return
    const own = ofScreen.find(([key]) => key === event.key)
    const action = own ? own[2] : actions[event.key]
    if (!action) return
    event.preventDefault()
    action(event)
  })
}

export function showKeys() {
  const row = ([key, text]) => h('tr', {}, h('th', { scope: 'row' }, h('kbd', {}, key)), h('td', {}, t(text)))
  const box = h('input', {
    type: 'checkbox', name: 'on', id: 'keys-on', checked: areOn(), onchange: () => {
      try { localStorage.setItem('millrace.keys', box.checked ? 'on' : 'off') } catch { /* private windows */ }
    },
  })
  return ask({
    title: t('keys.title'), confirm: t('dialog.close'),
    fields: [
      h('table', { class: 'keys' }, h('caption', { class: 'hidden-text' }, t('keys.title')),
        h('tbody', {}, ...general.map(row), ...ofScreen.map(row))),
      h('div', { class: 'check' }, box, h('label', { for: 'keys-on' }, t('keys.on'))),
    ],
  })
}
