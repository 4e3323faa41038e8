// What the notifier tells people at the console (its `popup` channels): a notification of the system where it was allowed
// and asked for, else a line at the corner of the page. Once a session, whichever tab shows it.

import { h, say } from './dom.js'
import { t, name } from './i18n.js'
import { can, call, path } from './api.js'
import { toast } from './dialog.js'
import { take } from './dispositions.js'
import * as events from './events.js'

/** Until the tab is looked at; by id. */
const waiting = new Map()
const done = new Set()
/** Lines at the corner, the newest last; what is older than these stands in the list of alerts. */
const lines = []
const linesMost = 3

function areOn() {
  try { return 'Notification' in window && Notification.permission === 'granted' && localStorage.getItem('millrace.popups') === 'on' } catch {
    return false
  }
}

function title(popup) {
  const what = popup.alert && popup.count === 1 ? name('risk', popup.alert.risk) : t('popup.count', { count: popup.count })
  const kind = ['cleared', 'escalation'].includes(popup.kind) ? `${t(`popup.${popup.kind}`)} ` : ''
  return `${kind}${name('severity', popup.severity)}: ${what}`
}

function body(popup) {
  return [popup.alert?.message || popup.customer, popup.alert?.measure].filter(Boolean).join('\n')
}

function address(popup) {
  return popup.count === 1 ? `#/alerts/${encodeURIComponent(popup.alerts[0])}` : '#/alerts'
}

/** The server shows it to no other tab, and to none after a reload. */
function seen(popup) {
  events.tell('popup-seen', popup.id)
  call('POST', path('popups', popup.id, 'seen')).catch(() => { /* then it comes once more */ })
}

function bySystem(popup) {
  let shown
  try {
    shown = new Notification(title(popup), { body: body(popup), tag: popup.id, icon: '/icon.svg' })
  } catch { return false }
  shown.onclick = () => {
    focus()
    location.hash = address(popup)
    shown.close()
  }
  shown.onerror = () => { done.delete(popup.id); byPage(popup) }
  return true
}

function byPage(popup) {
  if (done.has(popup.id)) return
  if (document.visibilityState !== 'visible') {
    waiting.set(popup.id, popup)
    return
  }
  done.add(popup.id)
  const { alert } = popup
  if (lines.length >= linesMost) lines.shift().remove()
  lines.push(toast(`${title(popup)}. ${body(popup).replaceAll('\n', '; ')}`, {
    stays: true, link: { href: address(popup), text: t('popup.open') },
    action: popup.count === 1 && alert?.status === 'open' && can('takeAlert') ? { text: t('alert.take'), act: () => take(alert) } : null,
  }))
  seen(popup)
}

function arrived(popup) {
  if (done.has(popup.id)) return
  if (areOn()) {
    // The tab that reads the stream shows it; the others hear of it as well.
    if (!events.holdsStream()) return
    if (bySystem(popup)) {
      done.add(popup.id)
      seen(popup)
      return
    }
  }
  // A tab that is looked at while another one reads the stream leaves it to that one, if that is looked at too.
  if (events.holdsStream()) byPage(popup)
  else setTimeout(() => byPage(popup), 500)
}

export function startPopups() {
  // Critical alerts are read out at once to those who do not see the screen, whoever is told of them.
  events.on('alert', (alert) => {
    if (alert.state !== 'raised' || alert.status !== 'open' || (alert.revision ?? 1) > 1 || alert.severity !== 'critical') return
    say(t('popup.critical', { message: alert.message }), true)
  })
  events.on('popup', arrived)
  events.on('popup-seen', (id) => {
    done.add(id)
    waiting.delete(id)
  })
  document.addEventListener('visibilitychange', () => {
    if (document.visibilityState !== 'visible') return
    for (const popup of waiting.values()) byPage(popup)
    waiting.clear()
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
