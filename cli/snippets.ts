import { dirname, join, relative } from 'node:path'
import type { PackageManager } from '../server/project.ts'

/** The code that `jobcast init` writes into a project, or shows for it. */

/** What there is already, as far as it matters. */
export interface Project {
  readonly framework: 'next' | 'vite' | 'express' | 'plain'
  readonly usesTypeScript: boolean
  /** Whether a `.js` file is an ES module. */
  readonly isModule: boolean
  /** Whether it is there, or installed together with Jobcast. */
  readonly usesZod: boolean
  readonly hasJobcast: boolean
  readonly hasReact: boolean
  readonly packageManager: PackageManager
  /** Path of the jobs file, whether it is there yet or not. */
  readonly jobsFile: string
  /** The folder of Next's routes: `app` or `src/app`; null for others. */
  readonly appFolder: string | null
}

/** A first jobs file. */
export function exampleJobs({ usesZod, usesTypeScript, framework }: Project): string {
  // The code of an app of Vite is checked with the types of browsers alone.
  const usesNode = framework !== 'vite'
  const read = usesTypeScript ? 'const { text } = payload as { text: string }' : 'const { text } = payload'
  return `${usesNode ? "import { setTimeout as pause } from 'node:timers/promises'\n" : ''}import { defineJob } from 'jobcast'
${usesZod ? "import { z } from 'zod'\n" : ''}
export const wordCount = defineJob({
  type: 'word-count',
${usesZod ? '  payload: z.object({ text: z.string() }),\n' : ''}  async run(${usesZod ? '{ text }' : 'payload'}, job) {
${usesZod ? '' : `    ${read}\n`}    const words = text.split(/\\s+/).filter((word) => word !== '')
    for (const [index, word] of words.entries()) {
      ${usesNode ? 'await pause(300, null, { signal: job.signal })' : 'await new Promise((resolve) => setTimeout(resolve, 300))'}
      job.log(\`read "\${word}"\`)
      job.progress((100 * (index + 1)) / words.length, \`\${index + 1} of \${words.length} words\`)
    }
    return { words: words.length }
  },
})

export const jobs = [wordCount]
`
}

/** In an app of Next, the address behind which its pages find Jobcast. */
export const ROUTE = `import { createHandler } from 'jobcast/next'

export const { GET, POST, PUT, DELETE } = createHandler({
  // Both are left out while \`jobcast dev\` runs on this machine.
  url: process.env.JOBCAST_URL,
  key: process.env.JOBCAST_KEY,
  // Who may do what: look at the session here. Null is nobody.
  authorize: () => ({ submit: ['word-count'], watch: 'any' }),
})
`

/** What is left to do by hand after `jobcast init`: a command to run, or code to paste. */
export interface Snippet {
  readonly title: string
  /** Where it goes; null for a command. */
  readonly file: string | null
  readonly code: string
}

/** The steps for this very project, in order. */
export function snippetsFor(project: Project): Snippet[] {
  const { packageManager, framework, hasJobcast } = project
  const missing = hasJobcast ? [] : [command('Install it', packageManager.install('jobcast zod'))]
  const run = command('Run your jobs, beside your app', packageManager.run('jobs'))
  const tryIt = command(
    'Try one',
    packageManager.exec('jobcast submit word-count text="one two three" --watch'),
  )
  const app = { next: nextApp, vite: viteApp, express: expressApp, plain: script }[framework](project)
  return [...missing, run, tryIt, ...app]
}

function command(title: string, code: string): Snippet {
  return { title, file: null, code }
}

function nextApp(project: Project): Snippet[] {
  const file = `${project.appFolder ?? 'app'}/word-count.${project.usesTypeScript ? 'tsx' : 'jsx'}`
  const code = `'use client'\n\n${component(project, file, '/api/jobcast')}`
  return [{ title: 'Paste this component, and show <WordCount /> on a page', file, code }]
}

function viteApp(project: Project): Snippet[] {
  const { usesTypeScript, hasReact } = project
  const proxy: Snippet = {
    title: 'Let Vite pass calls on to it',
    file: `vite.config.${usesTypeScript ? 'ts' : 'js'}`,
    code: `server: {
  proxy: {
    '/jobcast': {
      target: 'http://127.0.0.1:3300',
      ws: true,
      rewrite: (path) => path.replace('/jobcast', ''),
      headers: { 'X-Forwarded-Prefix': '/jobcast' },
    },
  },
},
`,
  }
  const file = `src/word-count.${hasReact ? (usesTypeScript ? 'tsx' : 'jsx') : usesTypeScript ? 'ts' : 'js'}`
  const code = hasReact ? component(project, file, '/jobcast') : caller(project, file, "'/jobcast'")
  const title = hasReact ? 'Paste this component, and show <WordCount />' : 'Paste this where it is needed'
  const types: Snippet = {
    title: "Once your jobs use Node's modules, let TypeScript know them (npm i -D @types/node)",
    file: 'tsconfig.app.json',
    code: '"types": ["node", "vite/client"],\n',
  }
  return [proxy, { title, file, code }, ...(usesTypeScript ? [types] : [])]
}

function component(project: Project, file: string, baseUrl: string): string {
  const { usesTypeScript } = project
  const types = usesTypeScript ? `import type { wordCount } from '${importOfJobs(project, file)}'\n` : ''
  return `import { JobcastProvider, JobProgress, useJob } from 'jobcast/react'
${types}
function Counter() {
  const job = useJob${usesTypeScript ? '<typeof wordCount>' : ''}({ type: 'word-count' })
  return (
    <div>
      <button type="button" onClick={() => job.startJob({ text: 'one two three four five' })}>
        Count words
      </button>
      <JobProgress job={job} />
      {job.status === 'completed' && <p>{job.result.words} words</p>}
    </div>
  )
}

export function WordCount() {
  return (
    <JobcastProvider baseUrl="${baseUrl}">
      <Counter />
    </JobcastProvider>
  )
}
`
}

function expressApp(project: Project): Snippet[] {
  const file = mainFile(project, 'app')
  const code = `${importing(project, 'createJobServer', 'jobcast')}
${importing(project, 'jobs', importOfJobs(project, file))}

// Jobs run within your app: "jobcast dev" is not needed then.
const jobServer = createJobServer({ jobs, basePath: '/jobcast' })
app.use(jobServer.handler)
app.post('/count', async (request, response) => {
  const { jobId } = await jobServer.client.submit({ type: 'word-count', payload: { text: 'one two three' } })
  response.json({ jobId })
})

const server = app.listen(3000)
server.on('upgrade', jobServer.upgrade)
`
  return [{ title: 'Or run them within your app; it shows them at /jobcast/', file, code }]
}

function script(project: Project): Snippet[] {
  const file = mainFile(project, 'main')
  const code = caller(project, file, "process.env.JOBCAST_URL ?? 'http://127.0.0.1:3300'")
  return [{ title: 'Paste this where a job is to be run', file, code }]
}

/** Where the code of an app without a bundler may be. */
function mainFile({ jobsFile: path, usesTypeScript, isModule, framework }: Project, name: string): string {
  const ending = usesTypeScript ? 'ts' : isModule || framework === 'express' ? 'js' : 'mjs'
  return join(dirname(path), `${name}.${ending}`)
}

/** An import as the app writes it: Node takes modules by `require` as well. */
function importing({ usesTypeScript, isModule }: Project, name: string, from: string): string {
  if (usesTypeScript || isModule) return `import { ${name} } from '${from}'`
  return `const { ${name} } = require('${from}')`
}

function caller(project: Project, file: string, baseUrl: string): string {
  const { usesTypeScript } = project
  const types = usesTypeScript ? `import type { jobs } from '${importOfJobs(project, file)}'\n` : ''
  return `import { createClient } from 'jobcast/client'
${types}
const jobcast = createClient${usesTypeScript ? '<typeof jobs>' : ''}({ baseUrl: ${baseUrl} })
const { words } = await jobcast.run({ type: 'word-count', payload: { text: 'one two three' } })
console.log(\`\${words} words\`)
`
}

/** How a file of the project imports the jobs file. */
function importOfJobs({ jobsFile: path, framework }: Project, from: string): string {
  const to = relative(dirname(from), path).replaceAll('\\', '/')
  const named = to.startsWith('.') ? to : `./${to}`
  const isBundled = framework === 'next' || framework === 'vite'
  // Node asks for the ending, and TypeScript for that of what it compiles to.
  return isBundled ? named.replace(/\.\w+$/, '') : named.replace(/ts$/, 'js')
}
