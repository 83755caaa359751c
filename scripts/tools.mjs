// Finds what the tests need and npm does not bring, or only what is named; installs it with apt where that is possible.
import { spawnSync } from 'node:child_process'
import { accessSync, constants } from 'node:fs'
import { delimiter, join } from 'node:path'

const TOOLS = [
  { variable: 'REDIS_SERVER_BIN', names: ['redis-server', 'valkey-server'], apt: 'redis-server' },
  { variable: 'NGINX_BIN', names: ['nginx'], apt: 'nginx' },
  { variable: 'CADDY_BIN', names: ['caddy'], apt: 'caddy' },
  { variable: 'HAPROXY_BIN', names: ['haproxy'], apt: 'haproxy' },
  { variable: 'APACHE_BIN', names: ['apache2', 'httpd'], apt: 'apache2-bin' },
  // Looks at the unit in deploy/, which is for Linux.
  {
    variable: 'SYSTEMD_ANALYZE_BIN',
    names: ['systemd-analyze'],
    apt: 'systemd',
    optional: process.platform !== 'linux',
  },
  { variable: 'CHROMIUM_BIN', names: ['chromium', 'chromium-browser', 'google-chrome'], apt: 'chromium' },
  // Takes half the processor time of a whole browser, which does what is left without it.
  {
    variable: 'CHROMIUM_SHELL_BIN',
    names: ['chromium-headless-shell'],
    apt: 'chromium-headless-shell',
    optional: true,
  },
]

/** Where servers are on Debian and Ubuntu, beside the PATH of whoever is not root. */
const FOLDERS = ['/usr/sbin', '/usr/local/sbin']

const named = process.argv.slice(2)
const needed = TOOLS.filter((tool) => named.length === 0 || named.includes(tool.apt))
const missing = needed.filter((tool) => !find(tool))
if (missing.length > 0 && mayInstall()) {
  process.stderr.write(`installing ${missing.map((tool) => tool.apt).join(' and ')}\n`)
  apt(['update'])
  // One that the distribution does not have must not keep the others away.
  for (const tool of missing) apt(['install', '-y', '--no-install-recommends', tool.apt])
}

const absent = needed.filter((tool) => !tool.optional && !find(tool))
if (absent.length > 0) {
  const wanted = absent.map((tool) => `${tool.names[0]} (or set ${tool.variable} to its path)`)
  process.stderr.write(
    `Needed: ${wanted.join(' and ')}: on Debian or Ubuntu, sudo apt-get install ${absent.map((tool) => tool.apt).join(' ')}\n`,
  )
  process.exit(1)
}

function find({ variable, names }) {
  const given = process.env[variable]
  if (given) return isExecutable(given)
  return [...(process.env.PATH ?? '').split(delimiter), ...FOLDERS].some((folder) =>
    names.some((name) => isExecutable(join(folder, name))),
  )
}

function isExecutable(path) {
  try {
    accessSync(path, constants.X_OK)
    return true
  } catch {
    return false
  }
}

function mayInstall() {
  return process.getuid?.() === 0 && spawnSync('apt-get', ['--version'], { stdio: 'ignore' }).status === 0
}

function apt(args) {
  // The distribution's packages of servers would otherwise start a service of their own.
  spawnSync('apt-get', args, {
    stdio: ['ignore', 'ignore', 2],
    env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive', RUNLEVEL: '1' },
  })
}
