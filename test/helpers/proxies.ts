import { readFileSync } from 'node:fs'
import { symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { nginxCommand } from './nginx.ts'
import { launchTool, type Tool } from './tool.ts'

/** The proxies whose configurations `docs/proxies.md` has, at an origin's root and below a path. */
export const PROXIES = ['nginx', 'caddyfile', 'haproxy', 'apache', 'vite'] as const
export type ProxyName = (typeof PROXIES)[number]
export type Place = 'root' | 'path'

/** What stands before this server's paths at each place, and in front of the configurations. */
export const PREFIXES: Readonly<Record<ProxyName, Readonly<Record<Place, string>>>> = {
  nginx: { root: '', path: '/jobs' },
  caddyfile: { root: '', path: '/jobs' },
  haproxy: { root: '', path: '/jobs' },
  apache: { root: '', path: '/jobs' },
  vite: { root: '', path: '/jobcast' },
}

const REPOSITORY = fileURLToPath(new URL('../..', import.meta.url))
const PAGE = readFileSync(join(REPOSITORY, 'docs/proxies.md'), 'utf8')

/** A block of code as the page has it, by what stands behind its three backticks. */
export function blockOf(info: string): string {
  const [, before = '', text] = new RegExp(`(^|\\n)\`\`\`${info}\\n([\\s\\S]*?)\\n\`\`\`\\n`).exec(PAGE) ?? []
  if (text === undefined || before === undefined) throw new Error(`docs/proxies.md has no block of ${info}`)
  return text
}

/** Runs the configuration of the page: with ports and names of this machine, and nothing else changed. */
export function startProxy(name: ProxyName, place: Place, target: string): Promise<Tool> {
  const info = name === 'vite' ? `ts vite-${place}` : `${name} ${place}`
  return runProxy(name, blockOf(info), target)
}

export function runProxy(name: ProxyName, block: string, target: string): Promise<Tool> {
  const text = replaced(block, /127\.0\.0\.1:3[03]00/g, new URL(target).host)
  return launchTool({
    name,
    ports: 1,
    prepare: (folder, [port = 0]) => COMMANDS[name](folder, text, port),
  })
}

type Command = [command: string, ...args: string[]]

const COMMANDS: Record<ProxyName, (folder: string, text: string, port: number) => Promise<Command>> = {
  nginx: (folder, text, port) =>
    nginxCommand(folder, replaced(text, /(?<=listen )80(?=;)/, `127.0.0.1:${port}`)),

  async caddyfile(folder, text, port) {
    const site = replaced(text, /^(jobs|www)\.example\.com/m, `http://:${port}`)
    const file = join(folder, 'Caddyfile')
    const options = ['admin off', 'auto_https off', 'default_bind 127.0.0.1']
    await writeFile(file, `{\n${options.map((option) => `\t${option}`).join('\n')}\n}\n${site}\n`)
    return [process.env.CADDY_BIN ?? 'caddy', 'run', '--config', file, '--adapter', 'caddyfile']
  },

  async haproxy(folder, text, port) {
    const file = join(folder, 'haproxy.cfg')
    await writeFile(file, `${replaced(text, /(?<=bind ):80/, `127.0.0.1:${port}`)}\n`)
    return [process.env.HAPROXY_BIN ?? 'haproxy', '-db', '-f', file]
  },

  async apache(folder, text, port) {
    const site = replaced(text, /(?<=<VirtualHost )\*:80/, `127.0.0.1:${port}`)
    const modules = process.env.APACHE_MODULES ?? '/usr/lib/apache2/modules'
    const loaded = ['mpm_event', 'authz_core', 'alias', 'headers', 'proxy', 'proxy_http']
    const file = join(folder, 'apache.conf')
    const lines = [
      `ServerRoot ${folder}`,
      `DefaultRuntimeDir ${folder}`,
      `PidFile ${join(folder, 'apache.pid')}`,
      'ServerName localhost',
      `ErrorLog ${join(folder, 'error.log')}`,
      `Listen 127.0.0.1:${port}`,
      'StartServers 1',
      ...loaded.map((module) => `LoadModule ${module}_module ${join(modules, `mod_${module}.so`)}`),
      // Its processes may not be root's.
      ...(process.getuid?.() === 0 ? ['User www-data', 'Group www-data'] : []),
    ]
    await writeFile(file, `${lines.join('\n')}\n${site}\n`)
    return [process.env.APACHE_BIN ?? 'apache2', '-d', folder, '-f', file, '-DFOREGROUND']
  },

  async vite(folder, text, port) {
    await symlink(join(REPOSITORY, 'node_modules'), join(folder, 'node_modules')).catch(() => {})
    await writeFile(join(folder, 'vite.config.ts'), text)
    await writeFile(join(folder, 'index.html'), '<!doctype html><title>an app of its own</title>')
    const vite = join(REPOSITORY, 'node_modules/vite/bin/vite.js')
    return [process.execPath, vite, folder, '--host', '127.0.0.1', '--port', String(port), '--strictPort']
  },
}

/** A placeholder must be there: else what runs would not be what is written. */
function replaced(text: string, pattern: RegExp, value: string): string {
  if (text.search(pattern) === -1) throw new Error(`there is no ${pattern} in:\n${text}`)
  return text.replace(pattern, value)
}
