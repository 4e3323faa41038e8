// The shell: who is logged in, what is where, and the screen that the address names.

import { h, put, say, s } from './dom.js'
import { t, loadLanguage, chooseLanguage, language, languages } from './i18n.js'
import * as api from './api.js'
import * as format from './format.js'
import * as events from './events.js'
import { startKeys, useKeys, showKeys } from './keys.js'
import { walk } from './table.js'
import { toast } from './dialog.js'
import { startPopups } from './popups.js'

// Path, screen, its text, and the operation without which it is not offered.
const screens = [
  ['overview', 'overview', 'getOverview', 'watch'],
  ['alerts', 'alerts', 'listAlerts', 'watch'],
  ['alerts/:id', 'alert', 'getAlert'],
  ['rules', 'rules', 'listRules', 'rules'],
  ['rules/:topology/:rule', 'rule', 'getRule'],
  ['text/:topology', 'text', 'getText'],
  ['changes', 'changes', 'listChanges', 'rules'],
  ['changes/:id', 'change', 'getChange'],
  ['history/:topology', 'history', 'getHistory'],
  ['graph', 'graph', 'getGraph', 'stream'],
  ['graph/:topology', 'graph', 'getGraph'],
  ['tasks', 'tasks', 'getTasks', 'stream'],
  ['tasks/:topology', 'tasks', 'getTasks'],
  ['letters', 'letters', 'listLetters', 'stream'],
  ['letters/:topology', 'letters', 'listLetters'],
  ['models', 'models', 'listModels', 'stream'],
  ['notifications', 'notifications', 'listNotifications', 'records'],
  ['audit', 'audit', 'listAudit', 'records'],
  ['people', 'people', 'listPeople', 'records'],
  ['me', 'me', 'getSession'],
]
const groups = ['watch', 'rules', 'stream', 'records']
const main = document.getElementById('main')
const top_ = document.getElementById('top')
const nav = document.getElementById('nav')
let shown = null
let topologies = []
let streamState = 'live'

function address() {
  const [path, query] = (location.hash.replace(/^#\/?/, '') || 'overview').split('?')
  return { path, query: new URLSearchParams(query ?? '') }
}

function match(path) {
  const parts = path.split('/')
  for (const [pattern, screen, operation] of screens) {
    const names = pattern.split('/')
    if (names.length !== parts.length) continue
    const found = {}
    const fits = names.every((part, index) => {
      if (!part.startsWith(':')) return part === parts[index]
      try { found[part.slice(1)] = decodeURIComponent(parts[index]) } catch { return false }
      return true
    })
    if (fits) return { screen, operation, params: found }
  }
  return null
}

/** The address of a screen, its parts escaped. */
export function link(...parts) { return `#/${parts.map(encodeURIComponent).join('/')}` }

function applyTheme() {
  let theme = null
  try { theme = localStorage.getItem('millrace.theme') } catch { /* private windows */ }
  if (theme === 'light' || theme === 'dark') document.documentElement.dataset.theme = theme
  else delete document.documentElement.dataset.theme
}

function languageSelect() {
  return h('select', {
    'aria-label': t('shell.language'), id: 'language', onchange: async (event) => {
      await chooseLanguage(event.target.value)
      if (api.me()) api.call('PUT', '/api/session/language', { body: { language: language() } }).catch(() => {})
      drawShell()
      await show()
      document.getElementById('language')?.focus()
    },
  }, ...Object.entries(languages).map(([code, text]) => h('option', { value: code, lang: code, selected: code === language() }, text)))
}

function mark() {
  return s('svg', { viewBox: '0 0 32 32', width: 24, height: 24, 'aria-hidden': 'true', class: 'mark' },
    s('path', { d: 'M2 12c4 0 4 3 8 3s4-3 8-3 4 3 8 3M2 20c4 0 4 3 8 3s4-3 8-3 4 3 8 3' }))
}

function drawShell() {
  document.getElementById('skip').textContent = t('shell.skip')
  document.documentElement.lang = language() === 'zh' ? 'zh-CN' : 'en'
  const user = api.me()
  const menu = h('button', {
    type: 'button', class: 'menu quiet', 'aria-expanded': 'false', 'aria-controls': 'nav', onclick: () => {
      const open = document.body.classList.toggle('menu-open')
      menu.setAttribute('aria-expanded', String(open))
      if (open) nav.querySelector('a')?.focus()
    },
  }, t('shell.menu'))
  put(top_, user && menu, h('a', { class: 'brand', href: '#/overview' }, mark(), 'Millrace'),
    h('span', { class: 'spacer' }),
    user && h('span', { id: 'stream', class: 'stream' }),
    user && h('span', { class: 'zone', title: t('shell.zone-hint') }, t('shell.zone', { zone: format.zoneName() })),
    user && h('button', { type: 'button', class: 'quiet keys-button', 'aria-label': t('keys.help'), onclick: showKeys }, h('kbd', {}, '?')),
    languageSelect(),
    user && h('a', { class: 'user', href: '#/me' }, user.name))
  document.body.classList.toggle('signed-out', !user)
  nav.setAttribute('aria-label', t('shell.navigation'))
  put(nav, user && groups.map((group) => {
    const own = screens.filter(([, , operation, of]) => of === group && api.can(operation))
    return own.length > 0 && [
      h('h2', {}, t(`nav.${group}`)),
      h('ul', {}, ...own.map(([path, screen]) => h('li', {}, h('a', { href: `#/${path}`, 'data-path': path }, t(`screen.${screen}`))))),
    ]
  }))
  drawStream()
  markCurrent()
}

function drawStream() {
  const badge = document.getElementById('stream')
  if (!badge) return
  const text = t(streamState === 'live' ? 'shell.live' : 'shell.lost')
  put(badge, h('span', { class: streamState === 'live' ? 'text' : null }, text))
  badge.title = text
  badge.classList.toggle('lost', streamState !== 'live')
}

function markCurrent() {
  const path = address().path.split('/')[0]
  const of = { text: 'rules', history: 'rules' }[path] ?? path
  for (const anchor of nav.querySelectorAll('a')) {
    if (anchor.dataset.path === of) anchor.setAttribute('aria-current', 'page')
    else anchor.removeAttribute('aria-current')
  }
}

/** Writes what the screen shows into the address, without showing it anew. */
function remember(query) {
  const kept = new URLSearchParams()
  for (const [key, value] of Object.entries(query)) if (value) kept.set(key, value)
  const next = `#/${address().path}${kept.size ? `?${kept}` : ''}`
  if (next !== location.hash) history.pushState(null, '', next)
}

async function show() {
  shown?.abort.abort()
  for (const end of shown?.ends ?? []) end()
  document.body.classList.remove('menu-open')
  const abort = new AbortController()
  const ends = []
  shown = { abort, ends }
  useKeys([])
  if (!api.me()) {
    const { logInScreen } = await import('./screen-login.js')
    drawShell()
    document.title = `${t('screen.login')} · Millrace`
    await logInScreen(main, async () => {
      await enter()
      await show()
    })
    return
  }
  const { path, query } = address()
  const found = match(path)
  markCurrent()
  const heading = h('h1', { tabindex: -1 }, found ? t(`screen.${found.screen}`) : t('shell.nothing'))
  const context = {
    main, heading, params: found?.params ?? {}, query: Object.fromEntries(query), signal: abort.signal, remember, topologies,
    title: (text) => {
      heading.textContent = text
      document.title = `${text} · Millrace`
    },
    on: (type, listener) => ends.push(events.on(type, listener)),
    every: (milliseconds, action) => {
      const timer = setInterval(action, milliseconds)
      ends.push(() => clearInterval(timer))
    },
    again: show,
  }
  document.title = `${heading.textContent} · Millrace`
  if (!found || !api.can(found.operation)) {
    put(main, heading, h('p', {}, t(found ? 'shell.forbidden' : 'shell.no-such-page')), h('p', {}, h('a', { href: '#/overview' }, t('screen.overview'))))
    return
  }
  main.setAttribute('aria-busy', 'true')
  put(main, heading, h('p', { class: 'loading' }, t('shell.loading')))
  try {
    const screen = await import(`./screen-${found.screen}.js`)
    await screen.show(context)
  } catch (error) {
    if (error.name === 'AbortError' || abort.signal.aborted) return
    put(main, heading, h('p', { class: 'problem', role: 'alert' }, error.message),
      h('button', { type: 'button', onclick: show }, t('shell.again')))
    if (!(error instanceof api.ApiError)) console.error(error)
  } finally {
    if (!abort.signal.aborted) main.removeAttribute('aria-busy')
  }
}

async function loadTopologies() {
  try { topologies = (await api.get('/api/topologies')).topologies } catch { topologies = [] }
  format.useZone(topologies.find((topology) => topology.zone)?.zone ?? 'UTC')
}

async function enter() {
  await loadTopologies()
  drawShell()
  listen()
}

function listen() {
  events.start('/api/events', [
    'hello', 'alert', 'disposition', 'activation', 'acknowledgement', 'change', 'metrics', 'index', 'backtest', 'popup', 'reset', 'end',
  ])
}

events.on('state', (state) => {
  if (state === streamState) return
  streamState = state
  drawStream()
  say(t(state === 'live' ? 'shell.live' : 'shell.lost'))
})
events.on('failed', () => { if (api.me()) api.get('/api/session').catch(() => {}) })
events.on('reset', () => toast(t('shell.reset')))
events.on('end', () => dispatchEvent(new CustomEvent('signed-out', { detail: 'session-ended' })))

addEventListener('signed-out', async () => {
  events.stop()
  await api.loadSession().catch(() => {})
  if (!api.me()) toast(t('error.session-ended'), { error: true })
  else listen()
  show()
})
addEventListener('hashchange', async () => {
  await show()
  // A screen that has put the focus somewhere itself keeps it.
  if (!main.contains(document.activeElement)) main.querySelector('h1')?.focus()
})
addEventListener('theme', applyTheme)
document.getElementById('skip').addEventListener('click', (event) => {
  event.preventDefault()
  main.focus()
})
document.addEventListener('keydown', (event) => {
  if (event.key === 'Escape' && document.body.classList.contains('menu-open')) {
    document.body.classList.remove('menu-open')
    const menu = document.querySelector('button.menu')
    menu?.setAttribute('aria-expanded', 'false')
    menu?.focus()
  }
})

startKeys({
  j: () => walk(main, 1),
  k: () => walk(main, -1),
  '/': () => main.querySelector('input[type="search"], input[name="q"], select')?.focus(),
  '?': showKeys,
})

// A link from a message may say `/alerts/ID`: screens are named behind the `#`.
if (location.pathname !== '/') location.replace(`/#${location.pathname}${location.search}`)

applyTheme()
try {
  await loadLanguage()
  await api.loadSession()
  if (api.me()) await enter()
  startPopups()
  await show()
} catch (error) {
  put(main, h('p', { class: 'problem', role: 'alert' }, error.message))
}
