// An alert that comes while the page is open: a line at the corner, and a notification of the system where it was asked for.

import { h, say } from './dom.js'
import { t, name } from './i18n.js'
import * as events from './events.js'

function areOn() {
  try { return 'Notification' in window && Notification.permission === 'granted' && localStorage.getItem('millrace.popups') === 'on' } catch {
    return false
  }
}

/** Alerts of high and critical severity are shown by the system, once for all tabs (`tag`); critical ones are read out at once. */
export function startPopups() {
  events.on('alert', (alert) => {
    if (alert.state !== 'raised' || alert.status !== 'open' || (alert.revision ?? 1) > 1) return
    if (alert.severity === 'critical') say(t('popup.critical', { message: alert.message }), true)
    if (!areOn() || !['critical', 'high'].includes(alert.severity)) return
    const popup = new Notification(`${name('severity', alert.severity)}: ${name('risk', alert.risk)}`, {
      body: [alert.message, alert.measure].filter(Boolean).join('\n'), tag: alert.id, icon: '/icon.svg',
    })
    popup.onclick = () => {
      focus()
      location.hash = `#/alerts/${encodeURIComponent(alert.id)}`
      popup.close()
    }
  })
}

/** A switch for popups of the system; asks for the permission when it is turned on. */
export function popupSwitch() {
  const hint = h('p', { class: 'hint', id: 'popups-hint' }, t('popup.hint'))
  const box = h('input', {
    type: 'checkbox', id: 'popups', 'aria-describedby': 'popups-hint', checked: areOn(), disabled: !('Notification' in window),
    onchange: async () => {
      if (box.checked && Notification.permission !== 'granted') await Notification.requestPermission()
      const granted = Notification.permission === 'granted'
      if (box.checked && !granted) hint.textContent = t('popup.refused')
      box.checked = box.checked && granted
      try { localStorage.setItem('millrace.popups', box.checked ? 'on' : 'off') } catch { /* private windows */ }
    },
  })
  return h('div', { class: 'field' }, h('div', { class: 'check' }, box, h('label', { for: 'popups' }, t('popup.switch'))), hint)
}
