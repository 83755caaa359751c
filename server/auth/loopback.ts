const LOOPBACK = /^(localhost|127(\.\d{1,3}){3}|::1|\[::1\])$/

/** Whether a host name or address reaches only this machine. */
export function isLoopback(host: string): boolean {
  return LOOPBACK.test(host.toLowerCase())
}
