import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { freePort } from './free-port.ts'
import { until } from './until.ts'

/** A real nginx of a test's own, before some servers. */
export interface Nginx {
  /** Passes everything on, WebSockets too; its buffering is on, as it is by default. */
  readonly url: string
  /** Knows no `Upgrade`, and buffers as it likes though it is asked not to. */
  readonly narrowUrl: string
  /** Takes up its configuration anew: new processes take new connections, the old ones end what is left a second later. */
  reload(): void
  stop(): Promise<void>
}

const PORT_ATTEMPTS = 5

/** Starts nginx (`NGINX_BIN`, else the one on the PATH) on 127.0.0.1, with all of its files in a new folder. */
export async function startNginx(targets: readonly string[]): Promise<Nginx> {
  const folder = await mkdtemp(join(tmpdir(), 'jobcast-nginx-'))
  for (let attempt = 1; ; attempt++) {
    try {
      return await launch(folder, targets, await freePort(), await freePort())
    } catch (error) {
      if (attempt < PORT_ATTEMPTS && String(error).includes('Address already in use')) continue
      await rm(folder, { recursive: true, force: true })
      throw error
    }
  }
}

async function launch(
  folder: string,
  targets: readonly string[],
  port: number,
  narrowPort: number,
): Promise<Nginx> {
  const errors = join(folder, 'error.log')
  await writeFile(join(folder, 'nginx.conf'), configuration(folder, targets, port, narrowPort))
  const child = spawn(
    process.env.NGINX_BIN ?? 'nginx',
    ['-p', folder, '-c', join(folder, 'nginx.conf'), '-e', errors, '-g', 'daemon off;'],
    // Where Debian has it, which is not on everybody's PATH.
    { stdio: 'ignore', env: { PATH: [process.env.PATH, '/usr/sbin'].join(delimiter) } },
  )
  let failure: Error | null = null
  child.on('error', (error) => {
    failure = error
  })
  const exited = once(child, 'exit').catch(() => {})
  // A test run that is cut short takes it along.
  const killAtExit = () => child.kill('SIGTERM')
  process.once('exit', killAtExit)
  void exited.then(() => process.removeListener('exit', killAtExit))
  const nginx: Nginx = {
    url: `http://127.0.0.1:${port}`,
    narrowUrl: `http://127.0.0.1:${narrowPort}`,
    reload: () => void child.kill('SIGHUP'),
    async stop() {
      child.kill('SIGTERM')
      await exited
      await rm(folder, { recursive: true, force: true })
    },
  }
  await until(async () => failure !== null || child.exitCode !== null || (await answers(nginx.narrowUrl)), {
    what: 'nginx to answer',
  })
  if (failure !== null) throw failure
  if (child.exitCode !== null) throw new Error(`nginx did not start: ${await readFile(errors, 'utf8')}`)
  return nginx
}

async function answers(url: string): Promise<boolean> {
  const response = await fetch(`${url}/healthz`).catch(() => null)
  await response?.body?.cancel()
  return response !== null
}

const TEMPORARY = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']

function configuration(folder: string, targets: readonly string[], port: number, narrowPort: number): string {
  // As root its processes would become another user, who may not enter the folder.
  const user = process.getuid?.() === 0 ? 'user root;' : ''
  const servers = targets.map((target) => `server ${new URL(target).host};`)
  return `
${user}
pid ${join(folder, 'nginx.pid')};
worker_processes 2;
worker_shutdown_timeout 1s;
events { worker_connections 2048; }
http {
  access_log off;
  ${TEMPORARY.map((name) => `${name}_temp_path ${join(folder, name)};`).join('\n  ')}
  upstream gateways { ${servers.join(' ')} }
  map $http_upgrade $connection_upgrade { default upgrade; '' ''; }
  proxy_http_version 1.1;
  proxy_connect_timeout 2s;
  server {
    listen 127.0.0.1:${port};
    location / {
      proxy_pass http://gateways;
      proxy_set_header Host $http_host;
      proxy_set_header Upgrade $http_upgrade;
      proxy_set_header Connection $connection_upgrade;
    }
  }
  server {
    listen 127.0.0.1:${narrowPort};
    location / {
      proxy_pass http://gateways;
      proxy_set_header Host $http_host;
      proxy_set_header Connection '';
      proxy_ignore_headers X-Accel-Buffering;
    }
  }
}
`
}
