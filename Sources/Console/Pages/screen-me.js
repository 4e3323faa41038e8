import { h, put } from './dom.js'
import { t, name } from './i18n.js'
import { logOut, me } from './api.js'
import { choice, field } from './dialog.js'
import { facts } from './table.js'
import { panel, time } from './parts.js'
import { popupSwitch } from './popups.js'
import { showKeys } from './keys.js'
import * as events from './events.js'
import * as format from './format.js'

export async function show(context) {
  const { main, heading, again } = context
  const user = me()
  let theme = 'auto'
  try { theme = localStorage.getItem('millrace.theme') ?? 'auto' } catch { /* private windows */ }
  const select = choice('theme', ['auto', 'light', 'dark'].map((each) => [each, t(`theme.${each}`)]), theme, {
    onchange: () => {
      try { localStorage.setItem('millrace.theme', select.value) } catch { /* private windows */ }
      dispatchEvent(new Event('theme'))
    },
  })
  context.title(user.name)
  put(main, heading, panel(t('me.session'), facts([
    [t('people.roles'), user.roles.map((role) => name('role', role)).join(', ')], [t('me.method'), name('method', user.method)], [t('me.idle'), format.duration(user.idle_seconds)], [t('me.expires'), time(user.expires_at)], [t('field.version'), user.version],
  ]), h('div', { class: 'buttons' }, h('button', {
    type: 'button', onclick: async () => {
      events.stop()
      await logOut().catch(() => {})
      location.hash = '#/overview'
      await again()
    },
  }, t('me.log-out')))),
  panel(t('me.display'), field(t('me.theme'), select), popupSwitch(), h('p', {}, h('button', { type: 'button', onclick: showKeys }, t('keys.help')))))
}
