/** What the page of an app may ask of Jobcast: which calls there are, and which of them somebody may make. */

/** As of an API key; each includes the ones before it. */
const ROLES = ['read', 'submit', 'admin'] as const

/** What somebody may do through a handler. */
export type Access =
  /**
   * As an API key of that role: `read` sees every job of everybody, `submit` also submits, cancels and retries, `admin`
   * everything.
   */
  | { readonly role: (typeof ROLES)[number] }
  /**
   * Submits jobs of these types (`true`: of any), and sees and cancels jobs: those that it submitted, each by the job token of
   * its answer, which `jobcast/client` keeps; with `watch` `any`, all whose id it knows. It lists none.
   */
  | { readonly submit: true | readonly string[]; readonly watch?: 'any' }

/** A call of a page. */
export interface Call {
  /** What it needs of an access: a role, or the token of the job that it is about. */
  readonly needs: { readonly role: (typeof ROLES)[number] } | { readonly token: (typeof ROLES)[number] }
  /** Its body has the jobs to submit. */
  readonly submits: boolean
}

const SUBMITS = /^\/api\/jobs(?:\/(?:submit|batch))?$/
const OF_ONE_JOB = /^\/api\/jobs\/[^/]+(?:\/[a-z]+)?$/

export function callOf(method: string, path: string): Call {
  const reads = method === 'GET' || method === 'HEAD'
  if (!reads && SUBMITS.test(path)) return { needs: { role: 'submit' }, submits: method === 'POST' }
  if (OF_ONE_JOB.test(path)) {
    const role = reads ? 'read' : method === 'DELETE' ? 'admin' : 'submit'
    return { needs: { token: role }, submits: false }
  }
  return { needs: { role: reads ? 'read' : 'admin' }, submits: false }
}

/** `token`: with the token of its job, which did not come along. */
export function permits(access: Access, { needs, submits }: Call): 'yes' | 'no' | 'token' {
  const needed = 'token' in needs ? needs.token : needs.role
  if ('role' in access) return ROLES.indexOf(access.role) >= ROLES.indexOf(needed) ? 'yes' : 'no'
  if (submits) return 'yes'
  if (!('token' in needs) || needed === 'admin') return 'no'
  return access.watch === 'any' ? 'yes' : 'token'
}

/** The border: an app in JavaScript may answer anything. Throws a `TypeError`; null for nobody. */
export function accessOf(answer: unknown): Access | null {
  if (answer === null || answer === undefined || answer === false) return null
  // Of both, neither: a user of the app's own may have a role that means something else.
  if (typeof answer === 'object' && !('role' in answer && 'submit' in answer)) {
    if ('role' in answer) {
      const role = ROLES.find((one) => one === answer.role)
      if (role !== undefined) return { role }
    } else if ('submit' in answer) {
      const { submit } = answer
      const isTypes = Array.isArray(submit) && submit.every((type) => typeof type === 'string')
      const watch = 'watch' in answer ? answer.watch : undefined
      if ((submit === true || isTypes) && (watch === undefined || watch === 'any')) {
        return { submit, ...(watch === 'any' && { watch }) }
      }
    }
  }
  throw new TypeError(
    `createHandler: authorize returns null for nobody, or { role: "read" | "submit" | "admin" }, or { submit: ["a-type"], watch?: "any" }; it returned ${JSON.stringify(answer)}`,
  )
}

/** Whether a credential says of itself that it is a job token; the server knows whether that is true. An app may have its own. */
export function isJobToken(credential: string): boolean {
  const claims = credential.split('.')[1] ?? ''
  try {
    const { job, rights } = JSON.parse(atob(claims.replaceAll('-', '+').replaceAll('_', '/')))
    return typeof job === 'string' && typeof rights === 'string'
  } catch {
    return false
  }
}
