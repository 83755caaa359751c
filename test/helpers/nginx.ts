import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { launchTool } from './tool.ts'

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

/** Starts nginx (`NGINX_BIN`, else the one on the PATH) on 127.0.0.1, before servers at these addresses. */
export async function startNginx(targets: readonly string[]): Promise<Nginx> {
  const { child, ports, stop } = await launchTool({
    name: 'nginx',
    ports: 2,
    prepare: (folder, [port = 0, narrowPort = 0]) =>
      nginxCommand(folder, servers(targets, port, narrowPort), 'worker_shutdown_timeout 1s;'),
  })
  const [url = '', narrowUrl = ''] = ports.map((port) => `http://127.0.0.1:${port}`)
  return { url, narrowUrl, reload: () => void child.kill('SIGHUP'), stop }
}

const TEMPORARY = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']

/** Writes a whole configuration around what belongs into `http`; what to run with it. */
export async function nginxCommand(folder: string, http: string, main = ''): Promise<[string, ...string[]]> {
  // As root its processes would become another user, who may not enter the folder.
  const user = process.getuid?.() === 0 ? 'user root;' : ''
  const configuration = `
${user}
pid ${join(folder, 'nginx.pid')};
worker_processes 2;
${main}
events { worker_connections 2048; }
http {
  access_log off;
  ${TEMPORARY.map((name) => `${name}_temp_path ${join(folder, name)};`).join('\n  ')}
${http}
}
`
  await writeFile(join(folder, 'nginx.conf'), configuration)
  const files = ['-p', folder, '-c', join(folder, 'nginx.conf'), '-e', 'stderr']
  return [process.env.NGINX_BIN ?? 'nginx', ...files, '-g', 'daemon off;']
}

function servers(targets: readonly string[], port: number, narrowPort: number): string {
  const upstream = targets.map((target) => `server ${new URL(target).host};`)
  return `
  upstream gateways { ${upstream.join(' ')} }
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
`
}
