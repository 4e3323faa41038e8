// The server's API: JSON both ways, the session's token with what changes anything, errors in words.

import { t, name } from './i18n.js'

let session = null

/** `{ name, roles, can, token, … }` of who is logged in, else null. */
export function me() { return session }

/** Whether the roles of who is logged in allow this operation (its `operationId`). */
export function can(operation) { return session?.can?.includes(operation) ?? false }

/** Those who only look on see customers masked, and cannot search for what they may not see. */
export function seesCustomers() { return session?.roles?.some((role) => role !== 'viewer') ?? false }

export class ApiError extends Error {
  constructor(status, body) {
    const error = body?.error ?? {}
    super(words(status, error))
    this.status = status
    this.code = error.code
    this.field = error.field
    this.current = body?.current
    this.diagnostics = body?.diagnostics ?? []
  }
}

function words(status, error) {
  const place = error.file ? `${error.file}:${error.line ?? 1}:${error.column ?? 1}: ` : ''
  const known = name('error', error.code)
  const text = known && known !== error.code ? known : ''
  if (!error.message) return text || t('error.status', { status })
  return text ? `${text} ${place}${error.message}` : place + error.message
}

/** One request. `query` leaves out what is empty; `revision` becomes If-Match. Throws `ApiError`. */
export async function call(method, path, { query, body, revision, signal } = {}) {
  const parameters = new URLSearchParams()
  for (const [key, value] of Object.entries(query ?? {})) {
    if (value !== undefined && value !== null && value !== '') parameters.set(key, value)
  }
  const headers = { Accept: 'application/json' }
  if (method !== 'GET') {
    headers['Content-Type'] = 'application/json'
    if (session?.token) headers['X-Millrace-Token'] = session.token
  }
  if (revision !== undefined) headers['If-Match'] = `"${revision}"`
  let answer
  try {
    answer = await fetch(parameters.size ? `${path}?${parameters}` : path, {
      method, headers, signal, credentials: 'same-origin', cache: 'no-store',
      body: method === 'GET' ? undefined : JSON.stringify(body ?? {}),
    })
  } catch (error) {
    if (error.name === 'AbortError') throw error
    throw new ApiError(0, { error: { code: 'unreachable' } })
  }
  if (answer.status === 204) return null
  let content = null
  try { content = await answer.json() } catch { /* an answer without JSON is judged by its status */ }
  if (answer.ok) return content
  if (answer.status === 401 && session) {
    session = null
    dispatchEvent(new CustomEvent('signed-out', { detail: content?.error?.code }))
  }
  throw new ApiError(answer.status, content)
}

export const get = (path, query, signal) => call('GET', path, { query, signal })
export const post = (path, body, revision) => call('POST', path, { body, revision })

function remembered(yes) {
  try {
    if (yes === undefined) return localStorage.getItem('millrace.logged-in') === 'yes'
    if (yes) localStorage.setItem('millrace.logged-in', 'yes')
    else localStorage.removeItem('millrace.logged-in')
  } catch { /* private windows */ }
  return true
}

/** Asks who is logged in; null for nobody. A browser that nobody logged in with does not ask, unless others vouch for people. */
export async function loadSession() {
  if (!remembered()) {
    const info = await get('/api/info').catch(() => null)
    if (info?.login?.every((way) => way === 'password')) return null
  }
  try {
    session = await get('/api/session')
    remembered(true)
  } catch (error) {
    if (error.status !== 401) throw error
    session = null
    remembered(false)
  }
  return session
}

export async function logIn(user, password) {
  session = await post('/api/session', { name: user, password })
  remembered(true)
  return session
}

export async function logOut() {
  try { await call('DELETE', '/api/session') } finally {
    session = null
    remembered(false)
  }
}

/** A path with each part escaped: `path('topologies', name, 'graph')`. */
export function path(...parts) {
  return `/api/${parts.map(encodeURIComponent).join('/')}`
}
