import { h, put } from './dom.js'
import { t } from './i18n.js'
import { field } from './dialog.js'
import * as api from './api.js'

/** Asks for name and password in `main`; calls `done` once somebody is logged in. */
export async function logInScreen(main, done) {
  const info = await api.get('/api/info').catch(() => null)
  const problem = h('p', { class: 'problem', role: 'alert', hidden: true })
  const user = h('input', { name: 'name', autocomplete: 'username', required: true, autocapitalize: 'none', spellcheck: 'false' })
  const password = h('input', { name: 'password', type: 'password', autocomplete: 'current-password', required: true })
  const button = h('button', { type: 'submit', class: 'primary' }, t('login.enter'))
  const ways = info?.login ?? ['password']
  const form = h('form', {
    class: 'login', onsubmit: async (event) => {
      event.preventDefault()
      button.disabled = true
      problem.hidden = true
      try {
        await api.logIn(user.value, password.value)
        await done()
      } catch (error) {
        problem.textContent = error.message
        problem.hidden = false
        password.value = ''
        password.focus()
      } finally { button.disabled = false }
    },
  },
  h('h1', { tabindex: -1 }, t('login.title')), h('p', { class: 'muted' }, t('login.about')),
  ways.includes('password') && [field(t('login.name'), user), field(t('login.password'), password), problem, button],
  ways.includes('oidc') && h('p', {}, h('a', { class: 'button', href: '/api/login/oidc' }, t('login.oidc'))),
  info && h('p', { class: 'muted small' }, `Millrace ${info.version}`, info.tls ? '' : ` · ${t('login.plain')}`))
  put(main, form)
  ;(ways.includes('password') ? user : form.querySelector('a'))?.focus()
}
